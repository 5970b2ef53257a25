using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvFs.Pki;

/// <summary>What a certificate says, for people and for its renewal. That it says so proves nothing.</summary>
public sealed class CertificateFacts
{
    /// <summary>Extended key usages (RFC 5280, section 4.2.1.12).</summary>
    internal const string ServerUsage = "1.3.6.1.5.5.7.3.1";
    internal const string ClientUsage = "1.3.6.1.5.5.7.3.2";

    /// <summary>A certificate is due when less than this part of its life is left.</summary>
    private const double DuePart = 1.0 / 3;

    private CertificateFacts()
    {
    }

    public required string Subject { get; init; }

    public required string Issuer { get; init; }

    /// <summary>Hexadecimal.</summary>
    public required string Serial { get; init; }

    /// <summary>It may sign others.</summary>
    public required bool IsAuthority { get; init; }

    /// <summary>The pool of an authority or a peer of KvFs; else null.</summary>
    public required string? Pool { get; init; }

    /// <summary>Who the peer is; null for an authority, and for a certificate that is not of KvFs.</summary>
    public required PeerIdentity? Identity { get; init; }

    public required ImmutableArray<string> DnsNames { get; init; }

    public required ImmutableArray<IPAddress> Addresses { get; init; }

    public required ImmutableArray<string> Uris { get; init; }

    public required PeerUsages Usages { get; init; }

    public required DateTimeOffset NotBefore { get; init; }

    public required DateTimeOffset NotAfter { get; init; }

    /// <summary>SHA-256 of all of it, hexadecimal.</summary>
    public required string Fingerprint { get; init; }

    public TimeSpan Life => NotAfter - NotBefore;

    /// <exception cref="PkiException">A part of it is malformed.</exception>
    public static CertificateFacts Of(X509Certificate2 certificate)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        if (!SubjectNames.TryRead(certificate, out SubjectNames? names))
        {
            throw new PkiException(PkiFailure.Malformed, "The alternative names of the certificate are malformed.");
        }
        try
        {
            return Of(certificate, names);
        }
        catch (CryptographicException e)
        {
            throw new PkiException(PkiFailure.Malformed, $"The certificate is malformed: {e.Message}", e);
        }
    }

    /// <summary>Less than a third of its life is left, or nothing.</summary>
    public bool IsDue(DateTimeOffset now) => NotAfter - now < Life * DuePart;

    public bool IsValid(DateTimeOffset now) => now >= NotBefore && now <= NotAfter;

    private static CertificateFacts Of(X509Certificate2 certificate, SubjectNames names)
    {
        bool isAuthority = MaySign(certificate);
        PeerIdentity.TryRead(names, out PeerIdentity? identity, out _);
        return new CertificateFacts
        {
            Subject = certificate.Subject,
            Issuer = certificate.Issuer,
            Serial = certificate.SerialNumber,
            IsAuthority = isAuthority,
            Pool = identity?.Pool ?? (isAuthority ? PoolOf(names) : null),
            Identity = identity,
            DnsNames = names.DnsNames,
            Addresses = names.Addresses,
            Uris = names.Uris,
            Usages = UsagesOf(certificate),
            NotBefore = certificate.NotBefore.ToUniversalTime(),
            NotAfter = certificate.NotAfter.ToUniversalTime(),
            Fingerprint = certificate.GetCertHashString(HashAlgorithmName.SHA256),
        };
    }

    /// <summary>Whether basic constraints and key usage let it sign certificates.</summary>
    private static bool MaySign(X509Certificate2 certificate)
    {
        X509BasicConstraintsExtension? constraints = certificate.Extensions.OfType<X509BasicConstraintsExtension>().FirstOrDefault();
        X509KeyUsageExtension? usage = certificate.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault();
        return constraints is { CertificateAuthority: true }
            && (usage is null || usage.KeyUsages.HasFlag(X509KeyUsageFlags.KeyCertSign));
    }

    /// <summary>Without the extension it is good for both sides.</summary>
    private static PeerUsages UsagesOf(X509Certificate2 certificate)
    {
        X509EnhancedKeyUsageExtension? extension = certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().FirstOrDefault();
        if (extension is null) { return PeerUsages.Server | PeerUsages.Client; }
        PeerUsages usages = PeerUsages.None;
        foreach (Oid each in extension.EnhancedKeyUsages)
        {
            usages |= each.Value switch
            {
                ServerUsage => PeerUsages.Server,
                ClientUsage => PeerUsages.Client,
                _ => PeerUsages.None,
            };
        }
        return usages;
    }

    /// <summary>An authority of KvFs names its pool as <c>kvfs://POOL</c>.</summary>
    private static string? PoolOf(SubjectNames names)
    {
        string[] pools = [.. names.Uris
            .Where(uri => uri.StartsWith(PeerIdentity.Scheme, StringComparison.Ordinal))
            .Select(uri => uri[PeerIdentity.Scheme.Length..])
            .Where(pool => PeerName.IsName(pool))];
        return pools is [string only] ? only : null;
    }
}
