using System.Buffers.Binary;
using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>Which reigns ended before the entry that a shard's log begins with on the disk: written with what makes it begin there.
/// </summary>
/// <remarks>
/// In the <c>sys</c> family. Key, 4 bytes: 'R'; key version 1; shard, big-endian. Value: 0: record version 1; 1-8: epoch and 9-16: index
/// of the entry that the log begins with; 17 on: per reign, ascending, its epoch (8) and its last entry (8); last 4 bytes: CRC-32C of key
/// and value before it. Little-endian but for the shard. Source: docs/format.md#log.
/// </remarks>
public static class EndedReigns
{
    public const int KeyBytes = 4;

    private const byte KeyKind = (byte)'R';
    private const byte KeyVersion = 1;
    private const byte Version = 1;
    private const int HeaderBytes = 17;
    private const int RunBytes = 16;
    private const int ChecksumBytes = 4;

    public static void WriteKey(ShardId shard, Span<byte> key)
    {
        key[0] = KeyKind;
        key[1] = KeyVersion;
        BinaryPrimitives.WriteUInt16BigEndian(key[2..], shard.Value);
    }

    /// <summary>Replaces <paramref name="value"/> by the record's value.</summary>
    public static void WriteValue(
        ReadOnlySpan<byte> key, LogPosition start, ImmutableArray<LogRun> endedBefore, ByteBuffer value)
    {
        ArgumentNullException.ThrowIfNull(value);
        Invariant.Check(LogShape.MayHaveEnded(endedBefore, start));
        value.Clear();
        Span<byte> bytes = value.Extend(HeaderBytes + (endedBefore.Length * RunBytes) + ChecksumBytes);
        bytes[0] = Version;
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[1..], start.Epoch.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[9..], start.Index.Value);
        for (int at = 0; at < endedBefore.Length; at++)
        {
            Span<byte> run = bytes[(HeaderBytes + (at * RunBytes))..];
            BinaryPrimitives.WriteUInt64LittleEndian(run, endedBefore[at].Epoch.Value);
            BinaryPrimitives.WriteUInt64LittleEndian(run[8..], endedBefore[at].Last.Value);
        }

        uint crc = Crc32C.Append(Crc32C.Compute(key), bytes[..^ChecksumBytes]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[^ChecksumBytes..], crc);
    }

    /// <summary>Opens a record's value: Ok, Corrupt, or NotSupported if a newer version wrote it.</summary>
    public static Status ReadValue(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, out LogPosition start, out ImmutableArray<LogRun> endedBefore)
    {
        start = default;
        endedBefore = [];
        if (value.Length < HeaderBytes + ChecksumBytes) { return Status.Corrupt; }
        uint crc = Crc32C.Append(Crc32C.Compute(key), value[..^ChecksumBytes]);
        if (crc != BinaryPrimitives.ReadUInt32LittleEndian(value[^ChecksumBytes..])) { return Status.Corrupt; }
        if (value[0] != Version) { return Status.NotSupported; }
        ReadOnlySpan<byte> runs = value[HeaderBytes..^ChecksumBytes];
        if (runs.Length % RunBytes != 0) { return Status.Corrupt; }
        start = new(new(BinaryPrimitives.ReadUInt64LittleEndian(value[1..])), new(BinaryPrimitives.ReadUInt64LittleEndian(value[9..])));
        ImmutableArray<LogRun>.Builder read = ImmutableArray.CreateBuilder<LogRun>(runs.Length / RunBytes);
        for (; !runs.IsEmpty; runs = runs[RunBytes..])
        {
            read.Add(new(new(BinaryPrimitives.ReadUInt64LittleEndian(runs)), new(BinaryPrimitives.ReadUInt64LittleEndian(runs[8..]))));
        }

        endedBefore = read.MoveToImmutable();
        return LogShape.MayHaveEnded(endedBefore, start) ? Status.Ok : Status.Corrupt;
    }
}
