using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Tells a large read that comes again from one that comes once: only what comes again is worth the page cache.</summary>
/// <remarks>
/// Thread safe. A table of hashes of the places that were read last: one that another has overwritten counts as not seen. So a file that is read
/// from end to end, once, goes from the disk to its reader, and takes nobody's place in the cache; what a second reader asks for is kept for the
/// third. Memory that a page cache takes and gives back is not free: on a virtual machine each of its pages may be fetched from the host anew.
/// </remarks>
internal sealed class SeenReads
{
    /// <summary>Bytes from which on a read is large: a disk reads them at full speed, and they are worth more than a page fault each.</summary>
    public const int LargeBytes = 256 << 10;

    /// <summary>Places that are remembered; of 1 MiB each, as clients read ahead, 64 GiB.</summary>
    private const int Places = 64 << 10;

    private readonly ulong[] places = new ulong[Places];

    /// <summary>Notes a read. True: it is large, and the first of its place as far as is known.</summary>
    public bool IsFirst(DriveId drive, long position, int length)
    {
        if (length < LargeBytes) { return false; }
        Span<byte> key = stackalloc byte[DriveId.Size + sizeof(long)];
        drive.Write(key);
        BinaryPrimitives.WriteInt64LittleEndian(key[DriveId.Size..], position / LargeBytes);
        ulong place = XxHash64.Compute(key);
        ref ulong slot = ref places[place % Places];
        bool isFirst = Volatile.Read(ref slot) != place;
        Volatile.Write(ref slot, place);
        return isFirst;
    }
}
