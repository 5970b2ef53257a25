using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>Sends two runs of bytes in one call, wherever their memory is: <see cref="Socket"/> gathers arrays only.</summary>
/// <remarks>Source: sendmsg(2), Linux with 64 bits.</remarks>
internal static unsafe partial class GatherSend
{
    private const int DoNotWait = 0x40;  // MSG_DONTWAIT
    private const int NoSignal = 0x4000;  // MSG_NOSIGNAL

    /// <summary>Sends as much as the socket takes at once.</summary>
    /// <returns>Bytes sent; 0 also if the call fails, for a reason that the next ordinary send then meets.</returns>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    public static int TrySend(Socket socket, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        // Safe: both runs are pinned until the kernel has copied what it takes, which it has when the call returns.
        fixed (byte* firstBytes = first, secondBytes = second)
        {
            Run* runs = stackalloc Run[2];
            runs[0] = new() { Start = firstBytes, Length = (nuint)first.Length };
            runs[1] = new() { Start = secondBytes, Length = (nuint)second.Length };
            Message message = new() { Runs = runs, RunCount = 2 };
            return (int)Math.Max(0, sendmsg(socket.SafeHandle, &message, DoNotWait | NoSignal));
        }
    }

    [LibraryImport("libc")]
    private static partial nint sendmsg(SafeSocketHandle socket, Message* message, int flags);

    /// <summary>struct iovec.</summary>
    private struct Run
    {
        public byte* Start;
        public nuint Length;
    }

    /// <summary>struct msghdr.</summary>
    private struct Message
    {
        public void* Name;
        public uint NameLength;
        public Run* Runs;
        public nuint RunCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }
}
