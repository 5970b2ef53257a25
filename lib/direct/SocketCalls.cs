using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KvFs.Direct;

/// <summary>The calls of a socket that the runtime's own do otherwise: they wait in the kernel, on the calling thread, and nowhere
/// else; or not at all.</summary>
/// <remarks>Source: recv(2), send(2), poll(2), fcntl(2); Linux with 64 bits.</remarks>
internal static unsafe partial class SocketCalls
{
    private const int DoNotWait = 0x40;  // MSG_DONTWAIT
    private const int NoSignal = 0x4000;  // MSG_NOSIGNAL
    private const int GetFlags = 3;  // F_GETFL
    private const int SetFlags = 4;  // F_SETFL
    private const int NonBlocking = 0x800;  // O_NONBLOCK
    private const short PollOut = 4;
    private const int Interrupted = 4;  // EINTR
    private const int WouldBlock = 11;  // EAGAIN

    /// <summary>Has calls wait, whatever the runtime set before.</summary>
    /// <exception cref="IOException">The socket is broken.</exception>
    public static void MakeBlocking(Socket socket)
    {
        int flags = fcntl(socket.SafeHandle, GetFlags, 0);
        if (flags < 0 || fcntl(socket.SafeHandle, SetFlags, flags & ~NonBlocking) < 0) { throw Broken("fcntl"); }
    }

    /// <summary>Waits for bytes; 0: the other side sends no more.</summary>
    /// <exception cref="IOException">The connection is broken, or its receive timeout has passed.</exception>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    public static int Receive(Socket socket, Span<byte> buffer)
    {
        // Safe: the buffer is pinned until the kernel has copied into it, which it has when the call returns.
        fixed (byte* bytes = buffer)
        {
            while (true)
            {
                nint received = recv(socket.SafeHandle, bytes, (nuint)buffer.Length, 0);
                if (received >= 0) { return (int)received; }
                if (Marshal.GetLastPInvokeError() != Interrupted) { throw Broken("recv"); }
            }
        }
    }

    /// <summary>Sends as much as the socket takes at once; 0: nothing now.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    public static int TrySend(Socket socket, ReadOnlySpan<byte> buffer)
    {
        // Safe: as above.
        fixed (byte* bytes = buffer)
        {
            while (true)
            {
                nint sent = send(socket.SafeHandle, bytes, (nuint)buffer.Length, DoNotWait | NoSignal);
                if (sent >= 0) { return (int)sent; }
                switch (Marshal.GetLastPInvokeError())
                {
                    case Interrupted: continue;
                    case WouldBlock: return 0;
                    default: throw Broken("send");
                }
            }
        }
    }

    /// <summary>Waits until the socket takes bytes again, or the time is up.</summary>
    public static void AwaitRoom(Socket socket, TimeSpan time)
    {
        bool isHeld = false;
        try
        {
            socket.SafeHandle.DangerousAddRef(ref isHeld);
            Polled polled = new() { Descriptor = (int)socket.SafeHandle.DangerousGetHandle(), Events = PollOut };
            _ = poll(&polled, 1, (int)time.TotalMilliseconds);
        }
        finally
        {
            if (isHeld) { socket.SafeHandle.DangerousRelease(); }
        }
    }

    private static IOException Broken(string call)
    {
        Win32Exception why = new(Marshal.GetLastPInvokeError());
        return new($"{call}: {why.Message}", why);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(SafeSocketHandle socket, byte* buffer, nuint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(SafeSocketHandle socket, byte* buffer, nuint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(SafeSocketHandle socket, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(Polled* sockets, nuint count, int milliseconds);

    /// <summary>struct pollfd.</summary>
    private struct Polled
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
