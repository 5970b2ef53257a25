using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace KvFs.Protocol.BlockChannel;

/// <summary>Where a server listens. Plain text is only what was asked for by that name.</summary>
public sealed class BlockChannelEndpoint
{
    /// <summary>Read and written by the owner, and nobody else.</summary>
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private BlockChannelEndpoint(EndPoint address, Func<SslServerAuthenticationOptions>? tls, UnixFileMode mode)
    {
        Address = address;
        Tls = tls;
        Mode = mode;
    }

    /// <summary>As asked for; <see cref="BlockChannelServer.Bound"/> has the port that port 0 became.</summary>
    public EndPoint Address { get; }

    internal Func<SslServerAuthenticationOptions>? Tls { get; }

    internal UnixFileMode Mode { get; }

    /// <param name="address">Port 0: any that is free.</param>
    /// <param name="tls">Asked for each connection, so certificates change without a restart; answers from memory. Whether
    /// clients must show a certificate, and whose, is said there.</param>
    public static BlockChannelEndpoint Tcp(IPEndPoint address, Func<SslServerAuthenticationOptions> tls)
    {
        ArgumentNullException.ThrowIfNull(tls);
        return new(address, tls, default);
    }

    /// <summary>Without TLS: whoever reaches it is let in, and reads along.</summary>
    public static BlockChannelEndpoint TcpPlainText(IPEndPoint address) => new(address, null, default);

    /// <summary>A socket file. Who may open the file is let in.</summary>
    /// <param name="path">At most 106 bytes: what Linux has room for, less one.</param>
    /// <param name="mode">Of the file.</param>
    public static BlockChannelEndpoint UnixSocket(string path, UnixFileMode mode) =>
        new(new UnixDomainSocketEndPoint(Path.GetFullPath(path)), null, mode);
}
