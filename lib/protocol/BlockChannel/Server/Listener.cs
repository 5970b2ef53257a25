using System.Net;
using System.Net.Sockets;

namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>A socket that listens, and its file if it has one.</summary>
internal sealed class Listener : IDisposable
{
    private const int Backlog = 512;

    private readonly string? path;

    private Listener(Socket socket, string? path)
    {
        Socket = socket;
        this.path = path;
    }

    public Socket Socket { get; }

    /// <summary>Binds and listens.</summary>
    /// <exception cref="IOException">The address is taken, or the socket file cannot be made.</exception>
    public static Listener Open(BlockChannelEndpoint endpoint)
    {
        if (endpoint.Address is UnixDomainSocketEndPoint file) { return OpenFile(file.ToString(), endpoint.Mode); }
        Socket socket = new(endpoint.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(endpoint.Address);
            socket.Listen(Backlog);
            return new(socket, null);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"Nobody can listen on {endpoint.Address}: {e.Message}", e);
        }
    }

    /// <summary>Takes the file away and lets nobody in any more.</summary>
    public void Dispose()
    {
        // While it still listens: nobody else has taken the name then.
        if (path is not null) { File.Delete(path); }
        Socket.Dispose();
    }

    /// <remarks>1. See that nobody listens under the name. 2. Bind under another and set the mode: nobody can connect yet.
    /// 3. Listen. 4. Rename over what is there. Source: unix(7), rename(2).</remarks>
    private static Listener OpenFile(string path, UnixFileMode mode)
    {
        string temporary = path + "~";
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        bool isBound = false;
        try
        {
            CheckFree(path);
            File.Delete(temporary);  // Of a process that died between 2 and 4.
            socket.Bind(new UnixDomainSocketEndPoint(temporary));
            isBound = true;
            File.SetUnixFileMode(temporary, mode);
            socket.Listen(Backlog);
            File.Move(temporary, path, overwrite: true);
            return new(socket, path);
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (isBound) { File.Delete(temporary); }
            if (e is IOException) { throw; }
            throw new IOException($"The socket {path} cannot be made: {e.Message}", e);
        }
    }

    private static void CheckFree(string path)
    {
        if (!File.Exists(path)) { return; }
        using Socket probe = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        probe.Blocking = false;
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            if (IsSocket(path)) { return; }
            throw new IOException($"{path} is there and is no socket: it is not replaced.", e);
        }
        catch (SocketException)
        {
            // Any other answer, such as a full queue, comes from somebody who listens.
        }

        throw new IOException($"Somebody listens on {path} already.");
    }

    /// <summary>Only a socket lets nobody open it who may.</summary>
    private static bool IsSocket(string path)
    {
        try
        {
            File.OpenHandle(path, access: FileAccess.ReadWrite).Dispose();
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }
}
