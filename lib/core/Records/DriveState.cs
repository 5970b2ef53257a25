using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;

namespace KvFs.Core;

/// <summary>One drive of the chain that a read falls through: the drive itself, then its origins.</summary>
/// <param name="Drive">Whose records are read.</param>
/// <param name="At">The version at which they are read; <see cref="CowNumber.Head"/> for the drive itself.</param>
public readonly record struct DriveLayer(DriveId Drive, CowNumber At);

/// <summary>What a drive serves as. Bytes on disk: never renumber.</summary>
public enum DriveKind : byte
{
    FileSystem = 1,
    Block = 2,
}

/// <summary>What became of a drive. Bits on disk: never renumber.</summary>
[Flags]
public enum DriveFlags : byte
{
    None = 0,

    /// <summary>Deleted by its user, but a clone still pins a version: its records stay, its name is free.</summary>
    Hidden = 1,

    /// <summary>Deleted, and nothing pins it: its records and blocks are being removed.</summary>
    Deleting = 2,

    /// <summary>All of it is being made as a snapshot shows it: until that is done, nothing else changes it.</summary>
    Restoring = 4,
}

/// <summary>What a user chose for a drive, and where it comes from. Changes seldom; immutable.</summary>
/// <remarks>Layout of the payload, little-endian: 0: <see cref="DriveKind"/>; 1: <see cref="DriveFlags"/>; 2-3: name
/// length n; 4-11: quota of bytes (0: none); 12-19: quota of VNodes (0: none); 20-27: created, ns since 1970; 28: depth d of
/// the chain of origins, highest bit: flat; 29 on: d times (16 bytes RUID, 8 bytes CoW number), nearest first; if the highest bit of byte 1 is set, a
/// byte: the spread of its blocks in percent, 1 to 100; then n bytes: the name, UTF-8.
/// Source: docs/format.md#drive.</remarks>
public sealed record DrivePolicy(
    string Name,
    DriveKind Kind,
    DriveFlags Flags,
    ulong QuotaBytes,
    ulong QuotaInodes,
    Timestamp Created,
    ImmutableArray<DriveLayer> Origins)
{
    private const int FixedBytes = 29;
    private const int OriginBytes = DriveId.Size + 8;

    /// <summary>In the byte of the flags: the drive's blocks are spread.</summary>
    private const byte SpreadBit = 0x80;

    /// <summary>In the byte of the depth: the drive is flat.</summary>
    private const byte FlatBit = 0x80;

    /// <summary>The drive has records of its own for all that it inherited: its one origin is not read any more, but still
    /// pinned, because records name blocks of it and of its origins.</summary>
    public bool IsFlat { get; init; }

    /// <summary>Percent of the pool's shards over which its blocks are spread; 0: they are with the drive. Never changes, and is that of its
    /// origins, if it has some.</summary>
    public int Spread { get; init; }

    /// <summary>The origins that a read falls through to, nearest first.</summary>
    public ImmutableArray<DriveLayer> Inherited => IsFlat ? [] : Origins;

    public void Encode(ByteBuffer payload)
    {
        payload.Clear();
        int nameBytes = Encoding.UTF8.GetByteCount(Name);
        Invariant.Check(nameBytes <= Limits.ObjectNameBytes);
        Invariant.Check(Origins.Length <= Limits.MaxCloneDepth && (!IsFlat || Origins.Length == 1));
        Invariant.Check(Spread is >= 0 and <= ShardOfBlock.MaxSpread);
        int spreadBytes = Spread == 0 ? 0 : 1;
        Span<byte> bytes = payload.Extend(FixedBytes + (Origins.Length * OriginBytes) + spreadBytes + nameBytes);
        bytes[0] = (byte)Kind;
        bytes[1] = (byte)((byte)Flags | (Spread == 0 ? 0 : SpreadBit));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[2..], (ushort)nameBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[4..], QuotaBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[12..], QuotaInodes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[20..], Created.Nanoseconds);
        bytes[28] = (byte)(Origins.Length | (IsFlat ? FlatBit : 0));
        Span<byte> rest = bytes[FixedBytes..];
        foreach (DriveLayer origin in Origins)
        {
            origin.Drive.Write(rest);
            BinaryPrimitives.WriteUInt64LittleEndian(rest[DriveId.Size..], origin.At.Value);
            rest = rest[OriginBytes..];
        }

        if (Spread != 0) { rest[0] = (byte)Spread; }
        Encoding.UTF8.GetBytes(Name, rest[spreadBytes..]);
    }

    public static bool TryDecode(ReadOnlySpan<byte> payload, out DrivePolicy? policy)
    {
        policy = null;
        if (payload.Length < FixedBytes) { return false; }
        int nameBytes = BinaryPrimitives.ReadUInt16LittleEndian(payload[2..]);
        bool isFlat = (payload[28] & FlatBit) != 0;
        int depth = payload[28] & ~FlatBit;
        int spreadBytes = (payload[1] & SpreadBit) != 0 ? 1 : 0;
        if (payload[0] is < (byte)DriveKind.FileSystem or > (byte)DriveKind.Block || depth > Limits.MaxCloneDepth
            || (isFlat && depth != 1)
            || payload.Length != FixedBytes + (depth * OriginBytes) + spreadBytes + nameBytes)
        {
            return false;
        }

        int spread = spreadBytes == 0 ? 0 : payload[FixedBytes + (depth * OriginBytes)];
        if (spreadBytes != 0 && spread is < 1 or > ShardOfBlock.MaxSpread) { return false; }

        ImmutableArray<DriveLayer>.Builder origins = ImmutableArray.CreateBuilder<DriveLayer>(depth);
        for (int i = 0; i < depth; i++)
        {
            ReadOnlySpan<byte> origin = payload.Slice(FixedBytes + (i * OriginBytes), OriginBytes);
            origins.Add(new(
                DriveId.Read(origin), new(BinaryPrimitives.ReadUInt64LittleEndian(origin[DriveId.Size..]))));
        }

        policy = new(
            Encoding.UTF8.GetString(payload[^nameBytes..]),
            (DriveKind)payload[0],
            (DriveFlags)(payload[1] & ~SpreadBit),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[4..]),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[12..]),
            new(BinaryPrimitives.ReadInt64LittleEndian(payload[20..])),
            origins.MoveToImmutable())
        {
            IsFlat = isFlat,
            Spread = spread,
        };
        return true;
    }
}

/// <summary>What changes with every transaction of a drive.</summary>
/// <remarks>Layout of the usage record's payload, 24 bytes, little-endian: 0-7: used bytes; 8-15: used VNodes; 16-23: last
/// CoW number. The rest is not stored: after a start the next ids are the reserved limits.</remarks>
public record struct DriveCounters
{
    public const int PayloadBytes = 24;

    public ulong UsedBytes { get; set; }

    public ulong UsedInodes { get; set; }

    public CowNumber LastCow { get; set; }

    /// <summary>The next ids to hand out; each below its limit in <see cref="Reserved"/>.</summary>
    public IdMarks Next { get; set; }

    /// <summary>The first ids that are not reserved on disk yet.</summary>
    public IdMarks Reserved { get; set; }

    /// <summary>Whether of some sequence fewer ids than this are reserved and not handed out.</summary>
    public readonly bool AreIdsBelow(ulong least) =>
        Reserved.Cow - Next.Cow < least
        || Reserved.VNode - Next.VNode < least
        || Reserved.Block - Next.Block < least
        || Reserved.Session - Next.Session < least;

    public readonly void EncodeUsage(Span<byte> payload)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(payload, UsedBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[8..], UsedInodes);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[16..], LastCow.Value);
    }

    public static bool TryDecodeUsage(ReadOnlySpan<byte> payload, out DriveCounters counters)
    {
        counters = default;
        if (payload.Length != PayloadBytes) { return false; }
        counters.UsedBytes = BinaryPrimitives.ReadUInt64LittleEndian(payload);
        counters.UsedInodes = BinaryPrimitives.ReadUInt64LittleEndian(payload[8..]);
        counters.LastCow = new(BinaryPrimitives.ReadUInt64LittleEndian(payload[16..]));
        return true;
    }
}

/// <summary>A point in each of a drive's sequences of ids.</summary>
/// <remarks>Layout of the reservation record's payload, 32 bytes, little-endian: CoW number, VNode id, block id,
/// session id.</remarks>
public readonly record struct IdMarks(ulong Cow, ulong VNode, ulong Block, ulong Session)
{
    public const int PayloadBytes = 32;

    /// <summary>Ids that each loss skips: more than a drive uses between two, and room for 2^26 of them.</summary>
    private const int SkippedBits = 36;

    private const ulong MostSteps = 1UL << 26;

    /// <summary>So many ids further in each sequence.</summary>
    public IdMarks Plus(ulong ids) => new(Cow + ids, VNode + ids, Block + ids, Session + ids);

    /// <summary>Where ids go on after a shard began anew without what was acknowledged (<see cref="ShardLoss"/>): above all that may
    /// have been handed out in what is lost, which a copy that comes back may still have things under.</summary>
    /// <remarks>Grows with the epoch, so that asking twice skips once. Beyond any epoch that is to be expected each time skips.
    /// </remarks>
    public IdMarks After(ShardLoss loss)
    {
        ArgumentNullException.ThrowIfNull(loss);
        ulong floor = loss.Epoch.Value << SkippedBits;
        bool isKnown = loss.Epoch.Value < MostSteps;
        return new(Skip(Cow), Skip(VNode), Skip(Block), Skip(Session));

        ulong Skip(ulong mark) => isKnown ? Math.Max(mark, floor) : mark + (1UL << SkippedBits);
    }

    public void Encode(Span<byte> payload)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(payload, Cow);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[8..], VNode);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[16..], Block);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[24..], Session);
    }

    public static bool TryDecode(ReadOnlySpan<byte> payload, out IdMarks marks)
    {
        marks = default;
        if (payload.Length != PayloadBytes) { return false; }
        marks = new(
            BinaryPrimitives.ReadUInt64LittleEndian(payload),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(payload[24..]));
        return true;
    }
}

/// <summary>What a decision knows of its drive without reading a record: the owner of the drive's shard keeps it.</summary>
/// <remarks>Immutable; a transaction that changes it makes a new one.</remarks>
/// <param name="Drive">The drive.</param>
/// <param name="Policy">Its drive record.</param>
/// <param name="Retained">The versions that snapshots and pins still see, ascending, each once.</param>
public sealed record DriveState(DriveId Drive, DrivePolicy Policy, ImmutableArray<CowNumber> Retained)
{
    /// <summary>The newest version that somebody still sees; records written later need no history.</summary>
    public CowNumber LastRetained => Retained.IsEmpty ? default : Retained[^1];

    /// <summary>What a read at a version falls through, in order.</summary>
    public ImmutableArray<DriveLayer> LayersAt(CowNumber at) => [new(Drive, at), .. Policy.Inherited];
}
