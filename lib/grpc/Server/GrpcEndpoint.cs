using System.Net;
using System.Net.Sockets;

namespace KvFs.Grpc;

/// <summary>Where a server listens. Plain text is only what was asked for by that name.</summary>
public sealed class GrpcEndpoint
{
    /// <summary>Read and written by the owner, and nobody else.</summary>
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private GrpcEndpoint(EndPoint address, ServerTls? tls, UnixFileMode mode)
    {
        Address = address;
        Tls = tls;
        Mode = mode;
    }

    /// <summary>As asked for; <see cref="GrpcServer.Bound"/> has the port that port 0 became.</summary>
    public EndPoint Address { get; }

    internal ServerTls? Tls { get; }

    internal UnixFileMode Mode { get; }

    public static GrpcEndpoint Tcp(IPEndPoint address, ServerTls tls)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(tls);
        return new GrpcEndpoint(address, tls, default);
    }

    /// <summary>Whoever can reach the address can read, change and make calls.</summary>
    public static GrpcEndpoint TcpPlainText(IPEndPoint address)
    {
        ArgumentNullException.ThrowIfNull(address);
        return new GrpcEndpoint(address, tls: null, default);
    }

    /// <summary>A socket file. Who may connect is the file's mode; the kernel keeps everybody else from reading.</summary>
    /// <param name="path">At most 107 bytes. A file left by a process that is gone is replaced; a socket that somebody
    /// listens on, or any other kind of file, is an error when the server starts.</param>
    /// <param name="mode">Permissions of the file, there before anybody can connect.</param>
    public static GrpcEndpoint UnixSocket(string path, UnixFileMode mode)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new GrpcEndpoint(new UnixDomainSocketEndPoint(System.IO.Path.GetFullPath(path)), tls: null, mode);
    }
}
