using System.Runtime.CompilerServices;
using KvFs.Core;

namespace KvFs.Mount;

/// <summary>What became of a notification.</summary>
public enum FuseNotifyOutcome
{
    Done,

    /// <summary>The kernel does not know the node or name: nothing to invalidate (ENOENT, ENOTDIR). As good as
    /// done.</summary>
    NotCached,

    /// <summary>A deleted directory is still in use (ENOTEMPTY, EBUSY).</summary>
    InUse,

    /// <summary>The kernel does not know this notification (EINVAL, ENOSYS).</summary>
    NotSupported,

    /// <summary>The mount has ended.</summary>
    Ended,

    /// <summary>Another error; it was reported as a fault.</summary>
    Failed,
}

/// <summary>Tells the kernel that what it caches is no longer true.</summary>
/// <remarks>Thread safe; one at a time. A notification may wait for a page or directory that a request of this same
/// mount holds, so it must never be sent while a request is being served: calls from a worker's thread throw.</remarks>
public sealed unsafe class FuseNotifier
{
    private const int InvalInode = 2;
    private const int InvalEntry = 3;
    private const int StoreCode = 4;
    private const int DeleteCode = 6;
    private const int ResendCode = 7;
    private const int IncreaseEpoch = 8;

    /// <summary>The version of the protocol from which <see cref="DropAllNames"/> works: Linux 6.16.</summary>
    public const uint DropAllNamesMinor = 44;

    private readonly Lock writeLock = new();
    private readonly FuseDevice device;
    private readonly FuseNegotiated negotiated;
    private readonly FuseFaultLog faults;

    internal FuseNotifier(FuseDevice device, FuseNegotiated negotiated, FuseFaultLog faults)
    {
        this.device = device;
        this.negotiated = negotiated;
        this.faults = faults;
    }

    /// <summary>Drops the cached attributes of a node, and its cached pages in the range (length 0: to the end). Dirty
    /// pages are written first.</summary>
    public FuseNotifyOutcome InvalidateInode(ulong nodeId, long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return Send(InvalInode, new FuseNotifyInvalInodeOut { Ino = nodeId, Off = offset, Len = length }, default);
    }

    /// <summary>Drops the cached attributes (and ACLs) of a node, but no pages.</summary>
    public FuseNotifyOutcome InvalidateAttributes(ulong nodeId) =>
        Send(InvalInode, new FuseNotifyInvalInodeOut { Ino = nodeId, Off = -1 }, default);

    /// <summary>Drops a cached name; under expireOnly the kernel merely asks again at its next use (or drops it, where
    /// it cannot).</summary>
    public FuseNotifyOutcome InvalidateEntry(ulong parent, ReadOnlySpan<byte> name, bool expireOnly = false)
    {
        CheckName(name);
        FuseNotifyEntryFlags flags = expireOnly && negotiated.Has(FuseInitFlags.HasExpireOnly)
            ? FuseNotifyEntryFlags.ExpireOnly
            : FuseNotifyEntryFlags.None;
        FuseNotifyInvalEntryOut body = new() { Parent = parent, Namelen = (uint)name.Length, Flags = flags };
        return Send(InvalEntry, body, name);
    }

    /// <summary>A name was removed: also ends watches on it (inotify), as a local removal does.</summary>
    public FuseNotifyOutcome Delete(ulong parent, ulong child, ReadOnlySpan<byte> name)
    {
        CheckName(name);
        FuseNotifyDeleteOut body = new() { Parent = parent, Child = child, Namelen = (uint)name.Length };
        return Send(DeleteCode, body, name);
    }

    /// <summary>Puts bytes into the page cache of a node.</summary>
    public FuseNotifyOutcome Store(ulong nodeId, ulong offset, ReadOnlySpan<byte> data)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(data.Length, negotiated.MaxRequestBytes, nameof(data));
        CheckThread();
        FuseNotifyStoreOut body = new() { Nodeid = nodeId, Offset = offset, Size = (uint)data.Length };
        byte* head = stackalloc byte[Unsafe.SizeOf<FuseOutHeader>() + Unsafe.SizeOf<FuseNotifyStoreOut>()];
        int headBytes = WriteHead(head, StoreCode, body, data.Length);

        // Safe: the head is on this stack frame until the write returns.
        lock (writeLock) { return OutcomeOf(StoreCode, device.Write(head, headBytes, data)); }
    }

    /// <summary>Makes the kernel look every name up again at its next use.</summary>
    public FuseNotifyOutcome DropAllNames()
    {
        if (negotiated.KernelMinor < DropAllNamesMinor) { return FuseNotifyOutcome.NotSupported; }
        return SendHead(IncreaseEpoch);
    }

    /// <summary>Lets the kernel send all unanswered requests again, marked as
    /// <see cref="FuseRequest.IsResent"/>.</summary>
    /// <remarks>For a successor that took over descriptors, before its first read.</remarks>
    public FuseNotifyOutcome Resend()
    {
        if (!negotiated.Has(FuseInitFlags.HasResend)) { return FuseNotifyOutcome.NotSupported; }
        return SendHead(ResendCode);
    }

    private FuseNotifyOutcome SendHead(int code)
    {
        CheckThread();
        FuseOutHeader head = new() { Len = (uint)sizeof(FuseOutHeader), Error = code };

        // Safe: the head is on this stack frame until the write returns.
        lock (writeLock) { return OutcomeOf(code, device.Write((byte*)&head, sizeof(FuseOutHeader))); }
    }

    private FuseNotifyOutcome Send<T>(int code, in T body, ReadOnlySpan<byte> name)
        where T : unmanaged
    {
        CheckThread();
        byte* message = stackalloc byte[Unsafe.SizeOf<FuseOutHeader>() + Unsafe.SizeOf<T>() + Limits.NameBytes + 1];
        int nameBytes = name.IsEmpty ? 0 : name.Length + 1;
        int length = WriteHead(message, code, body, nameBytes) + nameBytes;
        if (!name.IsEmpty)
        {
            // Safe: CheckName held the name to 255 bytes, and the frame has room for them and the NUL.
            Span<byte> room = new(message + length - nameBytes, nameBytes);
            name.CopyTo(room);
            room[^1] = 0;
        }

        lock (writeLock) { return OutcomeOf(code, device.Write(message, length)); }
    }

    private static int WriteHead<T>(byte* message, int code, in T body, int moreBytes)
        where T : unmanaged
    {
        int headBytes = Unsafe.SizeOf<FuseOutHeader>() + Unsafe.SizeOf<T>();
        Unsafe.WriteUnaligned(message, new FuseOutHeader { Len = (uint)(headBytes + moreBytes), Error = code });
        Unsafe.WriteUnaligned(message + Unsafe.SizeOf<FuseOutHeader>(), body);
        return headBytes;
    }

    private static void CheckName(ReadOnlySpan<byte> name)
    {
        if (name.Length is 0 or > Limits.NameBytes || name.Contains((byte)0))
        {
            throw new ArgumentException("A name has 1 to 255 bytes, none of them NUL.", nameof(name));
        }
    }

    private static void CheckThread()
    {
        if (FuseWorker.IsWorkerThread)
        {
            throw new InvalidOperationException(
                "A notification from a thread that serves requests can wait for itself.");
        }
    }

    private FuseNotifyOutcome OutcomeOf(int code, int error)
    {
        switch (error)
        {
            case 0:
                return FuseNotifyOutcome.Done;
            case Errno.ENOENT or Errno.ENOTDIR:
                return FuseNotifyOutcome.NotCached;
            case Errno.ENOTEMPTY or Errno.EBUSY:
                return FuseNotifyOutcome.InUse;
            case Errno.EINVAL or Errno.ENOSYS:
                return FuseNotifyOutcome.NotSupported;
            case Errno.ENODEV or Errno.EPERM or Errno.ENOTCONN or Errno.ECONNABORTED:
                return FuseNotifyOutcome.Ended;
            default:
                faults.Report(new FuseFault(
                    FuseFaultKind.ReplyRefused,
                    FuseOpcode.None,
                    0,
                    error,
                    $"The kernel refused notification {code} with {Errno.Name(error)}.",
                    null));
                return FuseNotifyOutcome.Failed;
        }
    }
}
