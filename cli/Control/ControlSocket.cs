using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using KvFs.Cli.Native;

namespace KvFs.Cli.Control;

/// <summary>The Unix socket in a data folder over which commands reach the process that serves it.</summary>
/// <remarks>
/// Only the owner may connect: the socket gets mode 0600 after it is bound and before it listens, so there is no moment in
/// which others could. Whoever binds holds the node's lock on the folder, so a socket that is there is a dead process's and
/// is replaced.
/// <para>A socket's address holds 107 bytes; a folder with a longer path is reached through a descriptor of it, as
/// <c>/proc/self/fd/N/control.sock</c>.</para>
/// </remarks>
internal sealed class ControlSocket : IDisposable
{
    public const string FileName = "control.sock";

    /// <summary>Bytes of a path in a <c>sockaddr_un</c>, without the NUL.</summary>
    private const int MaxAddressBytes = 107;

    private readonly string path;
    private readonly int folder;

    private ControlSocket(string dataPath, string fileName)
    {
        path = Path.Combine(dataPath, fileName);
        if (Encoding.UTF8.GetByteCount(path) <= MaxAddressBytes)
        {
            folder = -1;
            EndPoint = new UnixDomainSocketEndPoint(path);
            return;
        }
        folder = Posix.open(dataPath, Posix.OPath | Posix.OCloexec);
        if (folder < 0)
        {
            throw new IOException($"{dataPath} cannot be opened: {Marshal.GetLastPInvokeErrorMessage()}.");
        }
        EndPoint = new UnixDomainSocketEndPoint(
            string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{folder}/{fileName}"));
    }

    public UnixDomainSocketEndPoint EndPoint { get; }

    /// <summary>Connects to the process that serves a data folder.</summary>
    /// <exception cref="SocketException">Nobody listens, or this user may not connect.</exception>
    /// <exception cref="IOException">The folder cannot be opened.</exception>
    public static async ValueTask<Stream> ConnectAsync(string dataPath, CancellationToken cancellationToken)
    {
        using ControlSocket address = new(dataPath, FileName);
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(address.EndPoint, cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The address to bind: a name of its own, so that closing the socket, which removes that name, can never
    /// remove a successor's. <see cref="Publish"/> gives it the known one.</summary>
    public static ControlSocket ToServe(string dataPath) =>
        new(dataPath, string.Create(CultureInfo.InvariantCulture, $".control.{Environment.ProcessId}.sock"));

    /// <summary>Makes the socket; nobody can connect before somebody listens on it.</summary>
    public Socket Bind()
    {
        File.Delete(path);
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(EndPoint);
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Puts the listening socket where commands look for it, in the place of a dead one.</summary>
    public void Publish() => File.Move(path, PublishedPath, overwrite: true);

    /// <summary>Commands find nobody any more; those that are connected stay so.</summary>
    public void Withdraw() => File.Delete(PublishedPath);

    public void Dispose()
    {
        if (folder >= 0) { _ = Posix.close(folder); }
    }

    private string PublishedPath => Path.Combine(Path.GetDirectoryName(path)!, FileName);
}
