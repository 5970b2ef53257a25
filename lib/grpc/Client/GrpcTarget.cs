using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace KvFs.Grpc;

/// <summary>Where a channel leads. Plain text is only what was asked for by that name.</summary>
public sealed class GrpcTarget
{
    private readonly string name;

    private GrpcTarget(string name, Uri address, ClientTls? tls, EndPoint? dialled)
    {
        this.name = name;
        Address = address;
        Tls = tls;
        Dialled = dialled;
    }

    /// <summary>Scheme and authority of the requests. The authority is also the name that TLS checks.</summary>
    internal Uri Address { get; }

    internal ClientTls? Tls { get; }

    /// <summary>What is connected to, where that is not what <see cref="Address"/> names.</summary>
    internal EndPoint? Dialled { get; }

    public static GrpcTarget Tcp(string host, int port, ClientTls tls)
    {
        ArgumentNullException.ThrowIfNull(tls);
        Uri address = new UriBuilder(Uri.UriSchemeHttps, tls.ServerName ?? host, port).Uri;
        return new GrpcTarget($"{host}:{port}", address, tls, tls.ServerName is null ? null : new DnsEndPoint(host, port));
    }

    public static GrpcTarget TcpPlainText(string host, int port) =>
        new($"{host}:{port}", new UriBuilder(Uri.UriSchemeHttp, host, port).Uri, tls: null, dialled: null);

    /// <summary>A socket file. Its authority is <c>localhost</c>, as newer gRPC libraries have it.</summary>
    public static GrpcTarget UnixSocket(string path) =>
        new($"unix:{path}", new Uri("http://localhost/"), tls: null, new UnixDomainSocketEndPoint(Path.GetFullPath(path)));

    /// <summary>The machine; null: a socket file.</summary>
    public string? Host => Dialled switch
    {
        null => Address.Host,
        DnsEndPoint named => named.Host,
        _ => null,
    };

    /// <summary>For one handshake of something beside gRPC with the same machine: the same certificates, and no application protocol.
    /// Null: plain text.</summary>
    public SslClientAuthenticationOptions? HandshakeWithoutProtocol()
    {
        SslClientAuthenticationOptions? handshake = Tls?.Options();
        if (handshake is not null) { handshake.TargetHost = Address.Host; }
        return handshake;
    }

    public override string ToString() => name;
}
