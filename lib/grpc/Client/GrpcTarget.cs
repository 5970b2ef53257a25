using System.Net.Sockets;

namespace KvFs.Grpc;

/// <summary>Where a channel leads. Plain text is only what was asked for by that name.</summary>
public sealed class GrpcTarget
{
    private GrpcTarget(Uri address, ClientTls? tls, UnixDomainSocketEndPoint? socket)
    {
        Address = address;
        Tls = tls;
        Socket = socket;
    }

    internal Uri Address { get; }

    internal ClientTls? Tls { get; }

    internal UnixDomainSocketEndPoint? Socket { get; }

    public static GrpcTarget Tcp(string host, int port, ClientTls tls)
    {
        ArgumentNullException.ThrowIfNull(tls);
        return new GrpcTarget(new UriBuilder(Uri.UriSchemeHttps, host, port).Uri, tls, socket: null);
    }

    public static GrpcTarget TcpPlainText(string host, int port) =>
        new(new UriBuilder(Uri.UriSchemeHttp, host, port).Uri, tls: null, socket: null);

    /// <summary>A socket file. Its authority is <c>localhost</c>, as newer gRPC libraries have it.</summary>
    public static GrpcTarget UnixSocket(string path) =>
        new(new Uri("http://localhost/"), tls: null, new UnixDomainSocketEndPoint(Path.GetFullPath(path)));

    public override string ToString() => Socket is { } socket ? $"unix:{socket}" : Address.GetLeftPart(UriPartial.Authority);
}
