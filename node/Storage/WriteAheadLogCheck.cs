using System.Buffers.Binary;
using System.Globalization;
using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>A place in the middle of RocksDB's write-ahead log that rotted.</summary>
/// <param name="Path">The file.</param>
/// <param name="Offset">Its first byte that cannot be believed.</param>
public readonly record struct LogDamage(string Path, long Offset);

/// <summary>Tells a log that rotted in its middle from one with a torn end, before RocksDB opens it.</summary>
/// <remarks>
/// RocksDB, told to recover to a point in time, ends the log at the first record that is not whole, whatever is behind it:
/// right for what a power cut leaves of writes that nobody synced, which a disk may store in any order; but rot would
/// silently take everything behind it away, synced or not. Its stricter ways are no help: one refuses every torn end, the
/// other goes on behind one in a later file, so that what remains is no prefix.
/// <para>What tells them apart is a mark (<see cref="WriteMark"/>) in the first write after each sync: all that was logged
/// up to a sequence number was durable then. Of a file, this reads all records up to the first that is not whole, and then
/// looks for one that is, of number F, and for a mark of F - 1 or more behind it. If there is one, what is not whole, which
/// came before F, had been durable: it rotted. If the end was torn, there cannot be one. What rots behind the last mark
/// passes for a torn end.</para>
/// <para>Layout of a file: blocks of 32 KiB; in them records: 0-3: masked CRC-32C of all from byte 6 on; 4-5: length of the
/// payload; 6: type; from type 5 on, 7-10: the number of the log, where logs overwrite earlier ones, whose
/// records are behind the end; payload; all little-endian. Fewer than 7 bytes at a block's end are zeros. The payload
/// of a whole record, or a first part (type 1, 2, 5, 6), begins with a sequence number (8) and a count (4). Source: RocksDB's
/// "Write Ahead Log File Format".</para>
/// </remarks>
public static class WriteAheadLogCheck
{
    /// <summary>Bytes of a mark.</summary>
    public const int MarkBytes = 12;

    private const int BlockBytes = 32 << 10;
    private const int HeadBytes = 7;
    private const int TypeAt = 6;
    private const int FirstOfRecycled = 5;
    private const int LastOfTypes = 8;

    /// <summary>How RocksDB's batches tag bytes that are for the log alone, and the length behind that.</summary>
    private static ReadOnlySpan<byte> MarkTag => [3, MarkBytes];

    private static ReadOnlySpan<byte> MarkMagic => "sync"u8;

    /// <summary>Writes what the first logged write after a sync has in front.</summary>
    /// <param name="target">Gets <see cref="MarkBytes"/>: "sync", the number.</param>
    /// <param name="sequence">The last one that was given out before the sync.</param>
    public static void WriteMark(Span<byte> target, ulong sequence)
    {
        MarkMagic.CopyTo(target);
        BinaryPrimitives.WriteUInt64LittleEndian(target[MarkMagic.Length..], sequence);
    }

    /// <summary>The first damage of the logs in a folder; null if there is none.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static LogDamage? Find(string folder)
    {
        if (!Directory.Exists(folder)) { return null; }
        byte[] block = new byte[BlockBytes];
        foreach (string path in Directory.EnumerateFiles(folder, "*.log").Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileNameWithoutExtension(path);
            bool isLog = ulong.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number);
            if (isLog && FindIn(path, (uint)number, block) is { } offset) { return new(path, offset); }
        }

        return null;
    }

    private static long? FindIn(string path, uint number, byte[] block)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 0);
        Walk walk = new(number);
        int length;
        do
        {
            length = file.ReadAtLeast(block, BlockBytes, throwOnEndOfStream: false);
            if (walk.Take(block.AsSpan(0, length))) { return walk.End; }
        }
        while (length == BlockBytes);
        return null;
    }

    /// <summary>One file, block by block.</summary>
    private sealed class Walk(uint number)
    {
        private long start;
        private ulong? next;

        /// <summary>The first byte that is not of a whole record of this log; null as long as there is none.</summary>
        public long? End { get; private set; }

        /// <summary>Takes the next block; true once it is known that <see cref="End"/> is damage.</summary>
        public bool Take(ReadOnlySpan<byte> block)
        {
            for (int at = 0; block.Length - at >= HeadBytes;)
            {
                bool isWhole = TryRead(block[at..], out int length, out ReadOnlySpan<byte> batch);
                if (!isWhole) { End ??= start + at; }
                else if (End is not null && IsProof(batch)) { return true; }
                at += length;
            }

            start += block.Length;
            return false;
        }

        /// <summary>Whether a whole record behind the end says that what is missing had been durable.</summary>
        private bool IsProof(ReadOnlySpan<byte> batch)
        {
            const int CountBytes = 4;
            if (batch.Length < sizeof(ulong) + CountBytes) { return false; }
            next ??= BinaryPrimitives.ReadUInt64LittleEndian(batch);
            ReadOnlySpan<byte> first = batch[(sizeof(ulong) + CountBytes)..];
            if (!first.StartsWith(MarkTag) || first.Length < MarkTag.Length + MarkBytes) { return false; }
            ReadOnlySpan<byte> mark = first[MarkTag.Length..];
            return mark.StartsWith(MarkMagic)
                && BinaryPrimitives.ReadUInt64LittleEndian(mark[MarkMagic.Length..]) >= next - 1;
        }

        /// <summary>Reads the record at the begin of some bytes, of which there are enough for a head.</summary>
        /// <param name="bytes">The rest of the block.</param>
        /// <param name="length">Where the next one would begin, if this one's length can be believed.</param>
        /// <param name="batch">The batch, if one begins here.</param>
        /// <returns>Whether it is whole, and of this log.</returns>
        private bool TryRead(ReadOnlySpan<byte> bytes, out int length, out ReadOnlySpan<byte> batch)
        {
            batch = default;
            byte type = bytes[TypeAt];
            int headBytes = type >= FirstOfRecycled ? HeadBytes + sizeof(uint) : HeadBytes;
            length = headBytes + BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]);
            if (type is 0 or > LastOfTypes || length > bytes.Length) { return false; }
            ReadOnlySpan<byte> record = bytes[..length];
            bool isOurs = headBytes == HeadBytes || BinaryPrimitives.ReadUInt32LittleEndian(record[HeadBytes..]) == number;
            if (!isOurs || BinaryPrimitives.ReadUInt32LittleEndian(record) != Mask(Crc32C.Compute(record[TypeAt..])))
            {
                return false;
            }

            if (type is 1 or 2 or FirstOfRecycled or FirstOfRecycled + 1) { batch = record[headBytes..]; }
            return true;
        }

        /// <summary>How RocksDB stores a checksum, so that one of bytes with checksums in them is none of theirs.</summary>
        private static uint Mask(uint crc) => ((crc >> 15) | (crc << 17)) + 0xA282EAD8;
    }
}
