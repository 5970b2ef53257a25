using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Grpc.Server;

/// <summary>A socket file from before anybody can connect until it is withdrawn.</summary>
/// <remarks>1. Lock the folder, so that two servers that start at once do not both replace what they find. 2. See that nobody
/// listens under the wanted name. 3. Bind under another one and set the mode: nobody can connect yet. 4. Listen. 5. Rename over
/// what is there, so that there is no moment without a file. Source: unix(7), rename(2), flock(2).</remarks>
internal sealed partial class UnixSocketFile(string path, UnixFileMode mode)
{
    private const int Backlog = 512;

    // open(2), flock(2) and errno(3) of Linux.
    private const int ReadOnlyDirectory = 0x10000 | 0x80000;  // O_DIRECTORY | O_CLOEXEC
    private const int ReadOnlyProbe = 0x800 | 0x20000 | 0x80000;  // O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC
    private const int LockExclusive = 2;
    private const int NoSuchDevice = 6;

    private bool listening;

    /// <summary>The listening socket.</summary>
    /// <exception cref="IOException">Somebody listens there, the file is no socket, or the folder cannot be written.</exception>
    public Socket Listen()
    {
        string folder = Path.GetDirectoryName(path) ?? "/";
        // As long as the name itself, which may be the longest that a socket can have.
        string temporary = path[..^1] + (path[^1] == '~' ? '!' : '~');
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        bool bound = false;
        try
        {
            using FolderLock held = new(folder);
            CheckFree();
            if (IsSocket(temporary)) { File.Delete(temporary); }  // Of a process that died between bind and rename.
            socket.Bind(new UnixDomainSocketEndPoint(temporary));
            bound = true;
            File.SetUnixFileMode(temporary, mode);
            socket.Listen(Backlog);
            File.Move(temporary, path, overwrite: true);
            listening = true;
            return socket;
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (bound) { File.Delete(temporary); }
            if (e is IOException) { throw; }
            throw new IOException($"The socket {path} cannot be made: {e.Message}", e);
        }
    }

    /// <summary>Removes the file, so that new clients find nobody. Called while the socket still listens: nobody else can
    /// have taken the name then.</summary>
    public void Withdraw()
    {
        if (!listening) { return; }
        listening = false;
        File.Delete(path);
    }

    private void CheckFree()
    {
        FileInfo file = new(path);
        if (!file.Exists && file.LinkTarget is null) { return; }
        using Socket probe = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        probe.Blocking = false;
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && IsSocket(path))
        {
            return;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            throw new IOException($"{path} is there and is no socket: it is not replaced.", e);
        }
        catch (SocketException)
        {
            // Any other answer, such as a full queue, comes from somebody who listens.
        }
        throw new IOException($"Somebody listens on {path} already.");
    }

    /// <summary>Only a socket refuses to be opened with ENXIO when nothing is waited for.</summary>
    private static bool IsSocket(string path)
    {
        int opened = open(path, ReadOnlyProbe);
        int error = Marshal.GetLastPInvokeError();
        if (opened < 0) { return error == NoSuchDevice; }
        new SafeFileHandle(opened, ownsHandle: true).Dispose();
        return false;
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(SafeFileHandle file, int operation);

    /// <summary>An advisory lock on a folder. The kernel drops it with the process.</summary>
    private sealed class FolderLock : IDisposable
    {
        private readonly SafeFileHandle handle;

        public FolderLock(string folder)
        {
            handle = new SafeFileHandle(open(folder, ReadOnlyDirectory), ownsHandle: true);
            if (handle.IsInvalid || flock(handle, LockExclusive) != 0)
            {
                int error = Marshal.GetLastPInvokeError();
                handle.Dispose();
                throw new IOException($"The folder {folder} cannot be locked: {Marshal.GetPInvokeErrorMessage(error)}");
            }
        }

        public void Dispose() => handle.Dispose();
    }
}
