using System.Security.Cryptography.X509Certificates;
using KvFs.Pki;

namespace KvFs.Cli.Pki;

/// <summary>What a certificate says.</summary>
/// <param name="Authority">It may sign others.</param>
/// <param name="Pool">Null: it is not of KvFs.</param>
/// <param name="Role">node, client, operator, csi or admin; null for an authority.</param>
/// <param name="Name">Null for an authority.</param>
/// <param name="DnsNames">Names that clients may call it by.</param>
/// <param name="Addresses">Addresses that clients may call it by.</param>
/// <param name="Uris">All of them, also those that are not of KvFs.</param>
/// <param name="Usages">server, client.</param>
/// <param name="DaysLeft">Whole days until it ends; below zero: it ended so long ago.</param>
/// <param name="Serial">Hexadecimal.</param>
/// <param name="Fingerprint">SHA-256, hexadecimal.</param>
internal sealed record CertificateReport(
    string Subject,
    string Issuer,
    bool Authority,
    string? Pool,
    string? Role,
    string? Name,
    IReadOnlyList<string> DnsNames,
    IReadOnlyList<string> Addresses,
    IReadOnlyList<string> Uris,
    IReadOnlyList<string> Usages,
    DateTimeOffset NotBefore,
    DateTimeOffset NotAfter,
    int DaysLeft,
    string Serial,
    string Fingerprint)
{
    public static CertificateReport Of(X509Certificate2 certificate, DateTimeOffset now) => Of(CertificateFacts.Of(certificate), now);

    public static CertificateReport Of(CertificateFacts facts, DateTimeOffset now) => new(
        facts.Subject, facts.Issuer, facts.IsAuthority, facts.Pool,
        facts.Identity is { } identity ? PeerIdentity.TextOf(identity.Role) : null, facts.Identity?.Name,
        facts.DnsNames, [.. facts.Addresses.Select(address => address.ToString())], facts.Uris, UsagesOf(facts),
        facts.NotBefore, facts.NotAfter, (int)Math.Floor((facts.NotAfter - now).TotalDays), facts.Serial, facts.Fingerprint);

    private static string[] UsagesOf(CertificateFacts facts)
    {
        if (facts.IsAuthority) { return []; }
        return [.. Sides(facts.Usages)];
    }

    private static IEnumerable<string> Sides(PeerUsages usages)
    {
        if (usages.HasFlag(PeerUsages.Server)) { yield return "server"; }
        if (usages.HasFlag(PeerUsages.Client)) { yield return "client"; }
    }
}

internal sealed record CertificateList(IReadOnlyList<CertificateReport> Certificates);

/// <summary>Files that were written, and the certificate among them.</summary>
/// <param name="Directory">Absolute.</param>
internal sealed record WrittenReport(string Directory, CertificateReport Certificate);

/// <param name="Renewed">False: the certificate was not due, and nothing was changed.</param>
/// <param name="Certificate">The one that is there now.</param>
internal sealed record RenewReport(bool Renewed, string Directory, CertificateReport Certificate);
