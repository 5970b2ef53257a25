using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography.X509Certificates;

namespace KvFs.Pki;

/// <summary>Who a peer is: what the URI among the alternative names of its certificate says,
/// <c>kvfs://&lt;pool&gt;/&lt;role&gt;/&lt;name&gt;</c>.</summary>
/// <remarks>Pool and name are DNS subdomains as Kubernetes has them, the role is one of <see cref="PeerRole"/> in lower case.
/// One identity has one spelling: no escapes, no port, no query, no capital letters.</remarks>
public sealed record PeerIdentity
{
    /// <summary>Starts every URI of ours.</summary>
    internal const string Scheme = "kvfs://";

    /// <summary>Nothing longer can be one.</summary>
    private const int MaxUriLength = 7 + (2 * PeerName.MaxLength) + 16;

    private static readonly (PeerRole Role, string Text)[] Roles =
    [
        (PeerRole.Node, "node"),
        (PeerRole.Client, "client"),
        (PeerRole.Operator, "operator"),
        (PeerRole.Csi, "csi"),
        (PeerRole.Admin, "admin"),
    ];

    /// <exception cref="PkiException"><see cref="PkiFailure.Invalid"/>: the pool or the name is none.</exception>
    public PeerIdentity(string pool, PeerRole role, string name)
    {
        CheckPool(pool);
        if (!PeerName.IsName(name)) { throw new PkiException(PkiFailure.Invalid, $"A peer cannot be called '{name}'. {NameRule}"); }
        Pool = pool;
        Role = role;
        Name = name;
        Uri = $"{Scheme}{pool}/{TextOf(role)}/{name}";
    }

    public string Pool { get; }

    public PeerRole Role { get; }

    /// <summary>Unique among the peers of this role in the pool.</summary>
    public string Name { get; }

    public string Uri { get; }

    internal static string NameRule =>
        "A name has 1 to 253 lower-case letters, digits, '-' and '.', and each part between dots starts and ends with a letter or "
        + "digit.";

    /// <summary>The role as a URI has it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none.</exception>
    public static string TextOf(PeerRole role) => Array.Find(Roles, each => each.Role == role).Text
        ?? throw new ArgumentOutOfRangeException(nameof(role), role, "There is no such role.");

    public static bool TryParse(ReadOnlySpan<char> uri, [NotNullWhen(true)] out PeerIdentity? identity)
    {
        identity = null;
        if (uri.Length > MaxUriLength || !uri.StartsWith(Scheme, StringComparison.Ordinal)) { return false; }
        ReadOnlySpan<char> rest = uri[Scheme.Length..];
        int afterPool = rest.IndexOf('/');
        if (afterPool < 0) { return false; }
        ReadOnlySpan<char> pool = rest[..afterPool];
        rest = rest[(afterPool + 1)..];
        int afterRole = rest.IndexOf('/');
        if (afterRole < 0 || !TryParseRole(rest[..afterRole], out PeerRole role)) { return false; }
        ReadOnlySpan<char> name = rest[(afterRole + 1)..];
        if (!PeerName.IsName(pool) || !PeerName.IsName(name)) { return false; }
        identity = new PeerIdentity(pool.ToString(), role, name.ToString());
        return true;
    }

    /// <summary>Reads who showed a certificate. It must have been validated before: this trusts what it says.</summary>
    /// <param name="certificate">What the peer showed.</param>
    /// <param name="pool">The pool that it must be of.</param>
    /// <param name="identity">Who it is.</param>
    /// <param name="reason">Why it is nobody here: a part of a sentence, for a log or an answer.</param>
    public static bool TryRead(
        X509Certificate2 certificate,
        string pool,
        [NotNullWhen(true)] out PeerIdentity? identity,
        [NotNullWhen(false)] out string? reason)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        identity = null;
        if (!SubjectNames.TryRead(certificate, out SubjectNames? names))
        {
            reason = "the alternative names of the certificate are malformed";
            return false;
        }
        if (!TryRead(names, out PeerIdentity? read, out reason)) { return false; }
        if (read.Pool != pool)
        {
            reason = $"the certificate is of pool '{read.Pool}', and this is pool '{pool}'";
            return false;
        }
        identity = read;
        return true;
    }

    public override string ToString() => Uri;

    internal static bool TryRead(
        SubjectNames names, [NotNullWhen(true)] out PeerIdentity? identity, [NotNullWhen(false)] out string? reason)
    {
        identity = null;
        string[] ours = [.. names.Uris.Where(uri => uri.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))];
        reason = ours.Length switch
        {
            0 => $"the certificate has no URI {Scheme}POOL/ROLE/NAME",
            1 => TryParse(ours[0], out identity) ? null : $"the certificate's URI is not {Scheme}POOL/ROLE/NAME",
            _ => $"the certificate has {ours.Length} URIs {Scheme}POOL/ROLE/NAME, and may have one",
        };
        return identity is not null;
    }

    /// <exception cref="PkiException"><see cref="PkiFailure.Invalid"/>: it is no name of a pool.</exception>
    internal static void CheckPool(string pool)
    {
        if (!PeerName.IsName(pool)) { throw new PkiException(PkiFailure.Invalid, $"A pool cannot be called '{pool}'. {NameRule}"); }
    }

    private static bool TryParseRole(ReadOnlySpan<char> text, out PeerRole role)
    {
        foreach ((PeerRole each, string itsText) in Roles)
        {
            role = each;
            if (text.SequenceEqual(itsText)) { return true; }
        }
        role = default;
        return false;
    }
}
