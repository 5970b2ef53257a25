using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>One descriptor of a FUSE connection: requests come out, replies go in.</summary>
/// <remarks>Thread safe: the kernel serialises. A reply must go in where its request came out, because each descriptor
/// has its own list of unanswered requests. Closing one fails its unanswered requests.</remarks>
internal sealed unsafe class FuseDevice(FuseDeviceHandle handle) : IDisposable
{
    public const string Path = "/dev/fuse";

    private bool isNonBlocking;

    public bool IsClosed => handle.IsClosed;

    /// <summary>Opens the device, not yet connected to a mount.</summary>
    /// <returns>0 or an errno.</returns>
    public static int TryOpen(out FuseDevice? device)
    {
        int descriptor = LibC.open(Path, LibC.O_RDWR | LibC.O_CLOEXEC);
        if (descriptor < 0)
        {
            device = null;
            return Marshal.GetLastPInvokeError();
        }

        device = new FuseDevice(new FuseDeviceHandle(descriptor));
        return 0;
    }

    /// <summary>The number that mount(2) wants in fd=.</summary>
    /// <remarks>Safe only while the caller keeps this device from being disposed.</remarks>
    public int Descriptor => (int)handle.DangerousGetHandle();

    /// <summary>Another descriptor of the same connection, with its own list of unanswered requests.</summary>
    /// <returns>Null if this user may not open the device (then share this one), or if the limit of open files is
    /// reached. </returns>
    public FuseDevice? TryClone()
    {
        if (TryOpen(out FuseDevice? clone) != 0) { return null; }
        uint source = (uint)Descriptor;
        if (clone!.Attach(&source)) { return clone; }
        clone.Dispose();
        return null;
    }

    private bool Attach(uint* source) => LibC.ioctl(handle, LibC.FUSE_DEV_IOC_CLONE, source) == 0;

    /// <summary>Waits for a request.</summary>
    /// <returns>Its bytes, or the negative errno.</returns>
    public int Read(byte* buffer, int capacity)
    {
        // Safe: the caller owns capacity bytes at buffer until this returns.
        nint count = LibC.read(handle, buffer, (nuint)capacity);
        return count >= 0 ? (int)count : -Marshal.GetLastPInvokeError();
    }

    /// <summary>Asks for a request without waiting for one.</summary>
    /// <returns>Its bytes, or the negative errno; EAGAIN: there is none.</returns>
    /// <remarks>Only for the one worker that the descriptor belongs to.</remarks>
    public int Poll(byte* buffer, int capacity)
    {
        SetNonBlocking(true);
        return Read(buffer, capacity);
    }

    /// <summary>As <see cref="Read"/>, after <see cref="Poll"/>.</summary>
    public int ReadWaiting(byte* buffer, int capacity)
    {
        SetNonBlocking(false);
        return Read(buffer, capacity);
    }

    /// <summary>Hands in a reply or notification that lies in one piece.</summary>
    /// <returns>0 or an errno; ENODEV when this descriptor was closed, too.</returns>
    public int Write(byte* message, int length)
    {
        try
        {
            // Safe: the caller owns length bytes at message until this returns.
            nint count = LibC.write(handle, message, (nuint)length);
            return count == length ? 0 : count < 0 ? Marshal.GetLastPInvokeError() : Errno.EIO;
        }
        catch (ObjectDisposedException)
        {
            // An answer after the end of the connection: nobody waits for it.
            return Errno.ENODEV;
        }
    }

    /// <summary>Hands in a message of two pieces, without copying them together.</summary>
    /// <returns>0 or an errno; ENODEV when this descriptor was closed, too.</returns>
    public int Write(byte* head, int headLength, ReadOnlySpan<byte> data)
    {
        try
        {
            fixed (byte* dataPointer = data)
            {
                IoVector* vectors = stackalloc IoVector[2];
                vectors[0] = new IoVector { Base = head, Length = (nuint)headLength };
                vectors[1] = new IoVector { Base = dataPointer, Length = (nuint)data.Length };

                // Safe: the caller owns the head, and data is pinned, until this returns.
                nint count = LibC.writev(handle, vectors, data.IsEmpty ? 1 : 2);
                return count == headLength + data.Length ? 0
                    : count < 0 ? Marshal.GetLastPInvokeError() : Errno.EIO;
            }
        }
        catch (ObjectDisposedException)
        {
            return Errno.ENODEV;
        }
    }

    public void Dispose() => handle.Dispose();

    /// <remarks>If it cannot be set, a poll waits, which is slower and nothing else.</remarks>
    private void SetNonBlocking(bool wanted)
    {
        if (isNonBlocking == wanted) { return; }
        isNonBlocking = wanted;
        _ = LibC.fcntl(Descriptor, LibC.F_SETFL, LibC.O_RDWR | (wanted ? LibC.O_NONBLOCK : 0));
    }
}
