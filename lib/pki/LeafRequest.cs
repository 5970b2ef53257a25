using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;

namespace KvFs.Pki;

/// <summary>What a certificate of a peer is to say.</summary>
public sealed record LeafRequest
{
    public static readonly TimeSpan DefaultValidity = TimeSpan.FromDays(365);

    public required PeerIdentity Identity { get; init; }

    /// <summary>Names that clients call it by, in lower case. The first part may be <c>*</c>.</summary>
    public ImmutableArray<string> DnsNames { get; init; } = [];

    /// <summary>Addresses that clients call it by.</summary>
    public ImmutableArray<IPAddress> Addresses { get; init; } = [];

    /// <summary>Which sides of a connection it is for. A server needs a name or an address.</summary>
    public PeerUsages Usages { get; init; } = PeerUsages.Client;

    /// <summary>From now; shorter where the authority ends before.</summary>
    public TimeSpan Validity { get; init; } = DefaultValidity;

    /// <exception cref="PkiException"><see cref="PkiFailure.Invalid"/>: what is wrong.</exception>
    internal void Check()
    {
        const PeerUsages all = PeerUsages.Server | PeerUsages.Client;
        if (Usages == PeerUsages.None || (Usages & ~all) != 0) { throw Wrong("A certificate is for a server, a client, or both."); }
        if (Validity <= TimeSpan.Zero) { throw Wrong("A certificate must be valid for some time."); }
        foreach (string name in DnsNames)
        {
            if (!PeerName.IsDnsName(name)) { throw Wrong($"'{name}' is no name in DNS. {DnsRule}"); }
        }
        foreach (IPAddress address in Addresses)
        {
            if (address.AddressFamily == AddressFamily.InterNetworkV6 && address.ScopeId != 0)
            {
                throw Wrong($"{address} is an address of one machine's interface: leave out what stands behind '%'.");
            }
        }
        if (Usages.HasFlag(PeerUsages.Server) && DnsNames.IsEmpty && Addresses.IsEmpty)
        {
            throw Wrong("A server's certificate needs a name or an address that clients call it by.");
        }
    }

    private const string DnsRule =
        "It has lower-case letters, digits, '-' and '.', at most 63 between dots and 253 in all, and is not an address; the first "
        + "part may be '*'.";

    private static PkiException Wrong(string message) => new(PkiFailure.Invalid, message);
}
