using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace KvFs.Protocol.BlockChannel;

/// <summary>Where a client connects to. Plain text is only what was asked for by that name.</summary>
public sealed class BlockChannelTarget
{
    private readonly string name;

    private BlockChannelTarget(string name, EndPoint address, Func<SslClientAuthenticationOptions>? tls)
    {
        this.name = name;
        Address = address;
        Tls = tls;
    }

    internal EndPoint Address { get; }

    internal Func<SslClientAuthenticationOptions>? Tls { get; }

    /// <param name="host">A name or an address; also what the server's certificate must name, unless the options say
    /// otherwise.</param>
    /// <param name="port">The port.</param>
    /// <param name="tls">Asked for each connection, so certificates change without a restart; answers from memory, with a new
    /// object each time.</param>
    public static BlockChannelTarget Tcp(string host, int port, Func<SslClientAuthenticationOptions> tls)
    {
        ArgumentNullException.ThrowIfNull(tls);
        return new($"{host}:{port}", AddressOf(host, port), () => Named(tls(), host));
    }

    public static BlockChannelTarget TcpPlainText(string host, int port) => new($"{host}:{port}", AddressOf(host, port), null);

    public static BlockChannelTarget UnixSocket(string path) =>
        new($"unix:{path}", new UnixDomainSocketEndPoint(Path.GetFullPath(path)), null);

    public override string ToString() => name;

    private static SslClientAuthenticationOptions Named(SslClientAuthenticationOptions options, string host)
    {
        options.TargetHost ??= host;
        return options;
    }

    private static EndPoint AddressOf(string host, int port) =>
        IPAddress.TryParse(host, out IPAddress? address) ? new IPEndPoint(address, port) : new DnsEndPoint(host, port);
}
