using System.Buffers;
using KvFs.Core;
using KvFs.Memory;

namespace KvFs.Node.Storage;

/// <summary>Moves the bytes of blocks between memory and the extents of an idvd, and checks them.</summary>
/// <remarks>Thread safe: it keeps nothing but buffers.</remarks>
internal static class BlockBytes
{
    /// <summary>Bytes of a buffer through which unaligned memory goes to the disk: a call costs nothing beside its
    /// copy.</summary>
    private const int BounceBytes = LargePages.Bytes;

    /// <summary>Buffers kept: one for each of so many writers at once.</summary>
    private const int BounceBuffers = 8;

    private static readonly AlignedMemoryPool Bounce = new(BounceBytes, BounceBuffers);

    /// <summary>The checksums of a block's content, one per 64 KiB.</summary>
    internal static uint[] Checksum(ReadOnlySpan<byte> content)
    {
        uint[] checksums = new uint[BlockIndexEntry.UnitCount(content.Length)];
        for (int unit = 0; unit < checksums.Length; unit++)
        {
            int start = unit * Limits.ChecksumUnitBytes;
            checksums[unit] = Crc32C.Compute(
                content.Slice(start, Math.Min(Limits.ChecksumUnitBytes, content.Length - start)));
        }

        return checksums;
    }

    /// <summary>Writes a block's content into its extents; the last page is filled up with zeros.</summary>
    internal static Status Write(IDiskFile idvd, ReadOnlySpan<Extent> extents, ReadOnlySpan<byte> content)
    {
        bool aligned = IsAligned(content);
        foreach (Extent extent in extents)
        {
            ReadOnlySpan<byte> part = content[..Math.Min(extent.Length, content.Length)];
            content = content[part.Length..];
            int whole = aligned ? part.Length / Extent.UnitBytes * Extent.UnitBytes : 0;
            Status status = whole > 0 ? idvd.Write(extent.Offset, part[..whole]) : Status.Ok;
            if (status == Status.Ok && whole < part.Length)
            {
                status = WriteThroughBuffer(idvd, extent.Offset + whole, part[whole..]);
            }

            if (status != Status.Ok) { return status; }
        }

        return Status.Ok;
    }

    /// <summary>Reads a range of a block and checks every 64 KiB that it touches.</summary>
    /// <remarks>Units that the range covers are read in place, neighbours in one call; the others through a buffer.</remarks>
    /// <param name="idvd">Where it is.</param>
    /// <param name="entry">Which block.</param>
    /// <param name="offset">First byte in it.</param>
    /// <param name="destination">Where to; the range is within the block.</param>
    /// <param name="isOnce">Whole units go past the page cache, if the memory is aligned.</param>
    /// <returns>Ok; Corrupt: a checksum differs, or the idvd ends before; else what the disk answered.</returns>
    internal static Status Read(IDiskFile idvd, BlockIndexEntry entry, int offset, Span<byte> destination, bool isOnce)
    {
        while (!destination.IsEmpty)
        {
            int unit = offset / Limits.ChecksumUnitBytes;
            int unitStart = unit * Limits.ChecksumUnitBytes;
            int unitEnd = Math.Min(unitStart + Limits.ChecksumUnitBytes, entry.Length);
            int taken;
            Status status;
            if (offset == unitStart && destination.Length >= unitEnd - unitStart)
            {
                taken = WholeUnits(entry.Length, offset, destination.Length);
                status = ReadWholeUnits(idvd, entry, offset, destination[..taken], isOnce);
            }
            else
            {
                taken = Math.Min(unitEnd - offset, destination.Length);
                status = ReadPartOfUnit(idvd, entry, unitStart, unitEnd, offset, destination[..taken]);
            }

            if (status != Status.Ok) { return status; }
            offset += taken;
            destination = destination[taken..];
        }

        return Status.Ok;
    }

    /// <summary>Reads a range that lies in one unit, if all of the unit lies in one extent and in the page cache, and is good.</summary>
    internal static bool TryReadCached(IDiskFile idvd, BlockIndexEntry entry, int offset, Span<byte> destination)
    {
        int unit = offset / Limits.ChecksumUnitBytes;
        int start = unit * Limits.ChecksumUnitBytes;
        int length = Math.Min(Limits.ChecksumUnitBytes, entry.Length - start);
        if (destination.IsEmpty || offset + destination.Length > start + length) { return false; }
        int inExtent = start;
        foreach (Extent extent in entry.Extents)
        {
            if (inExtent >= extent.Length)
            {
                inExtent -= extent.Length;
                continue;
            }

            if (inExtent + length > extent.Length) { return false; }
            byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
            Span<byte> bytes = buffer.AsSpan(0, length);
            bool isGood = idvd.TryReadCached(extent.Offset + inExtent, bytes) && Crc32C.Compute(bytes) == entry.Checksums[unit];
            if (isGood) { bytes.Slice(offset - start, destination.Length).CopyTo(destination); }
            ArrayPool<byte>.Shared.Return(buffer);
            return isGood;
        }

        return false;
    }

    /// <summary>Reads whole checksum units of a block from the disk itself, and checks them.</summary>
    /// <param name="idvd">Where it is.</param>
    /// <param name="entry">Which block.</param>
    /// <param name="offset">A multiple of 64 KiB.</param>
    /// <param name="length">To the end of the block, or a multiple of 64 KiB.</param>
    /// <param name="buffer">Aligned memory, with room for the length in whole pages.</param>
    /// <returns>As <see cref="Read"/>.</returns>
    internal static Status Verify(IDiskFile idvd, BlockIndexEntry entry, int offset, int length, AlignedMemory buffer)
    {
        Span<byte> all = buffer.GetSpan()[..length];
        int unit = offset / Limits.ChecksumUnitBytes;
        int filled = 0;
        foreach (Extent extent in entry.Extents)
        {
            if (offset < extent.Length && filled < length)
            {
                // Whole pages: what is behind the block's end in its last one is its own.
                int part = Math.Min(extent.Length - offset, length - filled);
                int pages = Extent.UnitsOf(part) * Extent.UnitBytes;
                Status status = idvd.ReadPastCache(extent.Offset + offset, buffer.GetSpan().Slice(filled, pages), out int read);
                if (status != Status.Ok) { return status; }
                if (read < part) { return Status.Corrupt; }
                filled += part;
            }

            offset = Math.Max(0, offset - extent.Length);
        }

        for (; !all.IsEmpty; unit++)
        {
            ReadOnlySpan<byte> bytes = all[..Math.Min(Limits.ChecksumUnitBytes, all.Length)];
            if (Crc32C.Compute(bytes) != entry.Checksums[unit]) { return Status.Corrupt; }
            all = all[bytes.Length..];
        }

        return Status.Ok;
    }

    /// <summary>Calls for each run of the idvd that holds a part of a range of the block.</summary>
    internal static void Prefetch(IDiskFile idvd, BlockIndexEntry entry, int offset, int length)
    {
        foreach (Extent extent in entry.Extents)
        {
            if (offset < extent.Length && length > 0)
            {
                int part = Math.Min(extent.Length - offset, length);
                idvd.Prefetch(extent.Offset + offset, part);
                length -= part;
            }

            offset = Math.Max(0, offset - extent.Length);
        }
    }

    private static unsafe bool IsAligned(ReadOnlySpan<byte> content)
    {
        // Safe: the address is looked at, not followed; memory that moves afterwards is caught by the disk, which looks
        // again with the memory pinned.
        fixed (byte* start = content) { return ((nint)start & (Extent.UnitBytes - 1)) == 0; }
    }

    private static Status WriteThroughBuffer(IDiskFile idvd, long position, ReadOnlySpan<byte> content)
    {
        AlignedMemory buffer = Bounce.Rent();
        Status status = Status.Ok;
        while (!content.IsEmpty && status == Status.Ok)
        {
            ReadOnlySpan<byte> part = content[..Math.Min(content.Length, Bounce.BufferBytes)];
            content = content[part.Length..];
            Span<byte> pages = buffer.GetSpan()[..(Extent.UnitsOf(part.Length) * Extent.UnitBytes)];
            part.CopyTo(pages);
            pages[part.Length..].Clear();
            status = idvd.Write(position, pages);
            position += pages.Length;
        }

        Bounce.Return(buffer);
        return status;
    }

    /// <summary>Bytes of the whole units from <paramref name="offset"/> on that fit into so many bytes.</summary>
    private static int WholeUnits(int blockLength, int offset, int room) =>
        offset + room >= blockLength ? blockLength - offset : room / Limits.ChecksumUnitBytes * Limits.ChecksumUnitBytes;

    private static Status ReadWholeUnits(IDiskFile idvd, BlockIndexEntry entry, int offset, Span<byte> destination, bool isOnce)
    {
        Status status = ReadExtents(idvd, entry.Extents, offset, destination, isOnce);
        for (int unit = offset / Limits.ChecksumUnitBytes; status == Status.Ok && !destination.IsEmpty; unit++)
        {
            Span<byte> bytes = destination[..Math.Min(Limits.ChecksumUnitBytes, destination.Length)];
            if (Crc32C.Compute(bytes) != entry.Checksums[unit]) { return Status.Corrupt; }
            destination = destination[bytes.Length..];
        }

        return status;
    }

    private static Status ReadPartOfUnit(
        IDiskFile idvd, BlockIndexEntry entry, int unitStart, int unitEnd, int offset, Span<byte> destination)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Limits.ChecksumUnitBytes);
        Span<byte> unit = buffer.AsSpan(0, unitEnd - unitStart);
        Status status = ReadWholeUnits(idvd, entry, unitStart, unit, isOnce: false);
        if (status == Status.Ok) { unit.Slice(offset - unitStart, destination.Length).CopyTo(destination); }
        ArrayPool<byte>.Shared.Return(buffer);
        return status;
    }

    private static Status ReadExtents(
        IDiskFile idvd, ReadOnlySpan<Extent> extents, int offset, Span<byte> destination, bool isOnce)
    {
        foreach (Extent extent in extents)
        {
            if (destination.IsEmpty) { break; }
            if (offset < extent.Length)
            {
                Span<byte> part = destination[..Math.Min(extent.Length - offset, destination.Length)];
                Status status = isOnce && part.Length >= SeenReads.LargeBytes
                    ? idvd.ReadPastCache(extent.Offset + offset, part, out int read)
                    : idvd.Read(extent.Offset + offset, part, out read);
                if (status != Status.Ok) { return status; }
                if (read < part.Length) { return Status.Corrupt; }
                destination = destination[part.Length..];
            }

            offset = Math.Max(0, offset - extent.Length);
        }

        return Status.Ok;
    }
}
