using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>What a run of a file's logical space is made of. Bytes on disk: never renumber.</summary>
public enum SliceKind : byte
{
    /// <summary>The record holds the bytes itself.</summary>
    Inline = 1,

    /// <summary>The bytes are a part of a block.</summary>
    Block = 2,

    /// <summary>Reads as zeros and is not backed: it hides what is below it.</summary>
    Hole = 3,

    /// <summary>Reads as zeros, but is backed: preallocated space, charged to the quota.</summary>
    Unwritten = 4,

    /// <summary>A folded cluster: many runs, sorted, in one record.</summary>
    Base = 5,
}

/// <summary>A run of bytes of one cluster, and where they are. Newer slices hide older ones.</summary>
/// <remarks>Layout of the payload, little-endian: 0: <see cref="SliceKind"/>; 1-4: offset in the cluster; 5-8: length; of
/// Block: 9-24: owner's RUID, 25-32: block id, 33-36: offset in the block; of Inline: 9 on: the bytes. Source:
/// docs/format.md#slice.</remarks>
/// <param name="Offset">First byte, from the cluster's start.</param>
/// <param name="Length">Bytes; 1 to 64 MiB.</param>
/// <param name="Kind">What it is made of; not <see cref="SliceKind.Base"/>.</param>
/// <param name="Block">The block, for <see cref="SliceKind.Block"/>.</param>
/// <param name="SourceOffset">First byte in the block.</param>
public readonly record struct Slice(uint Offset, uint Length, SliceKind Kind, BlockName Block, uint SourceOffset)
{
    public const int HeaderBytes = 9;

    public const int BlockPayloadBytes = HeaderBytes + DriveId.Size + 8 + 4;

    public uint End => Offset + Length;

    /// <summary>Whether the run is backed: charged to the quota.</summary>
    public bool IsMapped => Kind != SliceKind.Hole;

    /// <summary>Whether somebody wrote the run: data for SEEK_DATA. Preallocated space is a hole there, as on ext4.</summary>
    public bool IsData => Kind is SliceKind.Inline or SliceKind.Block;

    /// <summary>Writes the payload; <paramref name="inline"/> are the bytes of an inline slice, else empty.</summary>
    public void Encode(ReadOnlySpan<byte> inline, ByteBuffer payload)
    {
        ArgumentNullException.ThrowIfNull(payload);
        Invariant.Check(Kind is SliceKind.Inline == (inline.Length > 0));
        Invariant.Check(Kind is not SliceKind.Inline || inline.Length == Length);
        payload.Clear();
        Span<byte> bytes = payload.Extend(Kind == SliceKind.Block ? BlockPayloadBytes : HeaderBytes + inline.Length);
        bytes[0] = (byte)Kind;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[1..], Offset);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[5..], Length);
        if (Kind == SliceKind.Block)
        {
            Block.Owner.Write(bytes[9..]);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[25..], Block.Id.Value);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[33..], SourceOffset);
        }
        else
        {
            inline.CopyTo(bytes[HeaderBytes..]);
        }
    }

    /// <summary>Reads any payload but a base's; false if it is none.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> payload, out Slice slice, out ReadOnlySpan<byte> inline)
    {
        slice = default;
        inline = default;
        if (payload.Length < HeaderBytes) { return false; }
        SliceKind kind = (SliceKind)payload[0];
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(payload[1..]);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(payload[5..]);
        if (length == 0 || (ulong)offset + length > Limits.ClusterBytes) { return false; }
        switch (kind)
        {
            case SliceKind.Block when payload.Length == BlockPayloadBytes:
                uint source = BinaryPrimitives.ReadUInt32LittleEndian(payload[33..]);
                if ((ulong)source + length > Limits.BlockBytes) { return false; }
                BlockId block = new(BinaryPrimitives.ReadUInt64LittleEndian(payload[25..]));
                slice = new(offset, length, kind, new(DriveId.Read(payload[9..]), block), source);
                return true;
            case SliceKind.Inline when payload.Length - HeaderBytes == length:
                slice = new(offset, length, kind, default, 0);
                inline = payload[HeaderBytes..];
                return true;
            case SliceKind.Hole or SliceKind.Unwritten when payload.Length == HeaderBytes:
                slice = new(offset, length, kind, default, 0);
                return true;
            default:
                return false;
        }
    }
}

/// <summary>The one record of a folded cluster: its runs, sorted, without overlap.</summary>
/// <remarks>Layout of the payload, little-endian: 0: <see cref="SliceKind.Base"/>; 1-4: runs n; 5: owners m; then m times 16
/// bytes: RUID; then n times 22 bytes: 0-3: offset; 4-7: length; 8: kind (Block or Unwritten); 9: owner's place; 10-17: block
/// id; 18-21: offset in the block. Source: docs/format.md#slice.</remarks>
public static class ClusterBase
{
    private const int FixedBytes = 6;
    private const int RunBytes = 22;


    public static void Encode(ReadOnlySpan<Slice> runs, ByteBuffer payload)
    {
        ArgumentNullException.ThrowIfNull(payload);
        Span<DriveId> owners = stackalloc DriveId[Limits.ClusterOwners];
        int ownerCount = 0;
        foreach (ref readonly Slice run in runs)
        {
            if (run.Kind == SliceKind.Block && owners[..ownerCount].IndexOf(run.Block.Owner) < 0)
            {
                Invariant.Check(ownerCount < Limits.ClusterOwners);
                owners[ownerCount++] = run.Block.Owner;
            }
        }

        payload.Clear();
        Span<byte> bytes = payload.Extend(FixedBytes + (ownerCount * DriveId.Size) + (runs.Length * RunBytes));
        bytes[0] = (byte)SliceKind.Base;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[1..], (uint)runs.Length);
        bytes[5] = (byte)ownerCount;
        bytes = bytes[FixedBytes..];
        foreach (DriveId owner in owners[..ownerCount])
        {
            owner.Write(bytes);
            bytes = bytes[DriveId.Size..];
        }

        uint end = 0;
        foreach (ref readonly Slice run in runs)
        {
            Invariant.Check(run.Kind is SliceKind.Block or SliceKind.Unwritten);
            Invariant.Check(run.Offset >= end);
            end = run.End;
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, run.Offset);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], run.Length);
            bytes[8] = (byte)run.Kind;
            bytes[9] = run.Kind == SliceKind.Block ? (byte)owners[..ownerCount].IndexOf(run.Block.Owner) : (byte)0;
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[10..], run.Block.Id.Value);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[18..], run.SourceOffset);
            bytes = bytes[RunBytes..];
        }
    }

    public static bool IsBase(ReadOnlySpan<byte> payload) => !payload.IsEmpty && payload[0] == (byte)SliceKind.Base;

    /// <summary>Reads the runs behind <paramref name="runs"/>' content; false if the payload is no base.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> payload, List<Slice> runs)
    {
        ArgumentNullException.ThrowIfNull(runs);
        if (payload.Length < FixedBytes || !IsBase(payload)) { return false; }
        uint count = BinaryPrimitives.ReadUInt32LittleEndian(payload[1..]);
        int ownerCount = payload[5];
        if (ownerCount > Limits.ClusterOwners
            || (ulong)payload.Length != FixedBytes + (ulong)(ownerCount * DriveId.Size) + ((ulong)count * RunBytes))
        {
            return false;
        }

        ReadOnlySpan<byte> owners = payload.Slice(FixedBytes, ownerCount * DriveId.Size);
        ReadOnlySpan<byte> rest = payload[(FixedBytes + owners.Length)..];
        ulong end = 0;
        for (; !rest.IsEmpty; rest = rest[RunBytes..])
        {
            if (!TryDecodeRun(rest, owners, out Slice run) || run.Offset < end) { return false; }
            end = run.End;
            runs.Add(run);
        }

        return true;
    }

    private static bool TryDecodeRun(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> owners, out Slice run)
    {
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        SliceKind kind = (SliceKind)bytes[8];
        uint source = BinaryPrimitives.ReadUInt32LittleEndian(bytes[18..]);
        run = default;
        if (length == 0 || (ulong)offset + length > Limits.ClusterBytes) { return false; }
        if (kind == SliceKind.Unwritten)
        {
            run = new(offset, length, kind, default, 0);
            return true;
        }

        if (kind != SliceKind.Block || (bytes[9] + 1) * DriveId.Size > owners.Length
            || (ulong)source + length > Limits.BlockBytes)
        {
            return false;
        }

        DriveId owner = DriveId.Read(owners[(bytes[9] * DriveId.Size)..]);
        run = new(offset, length, kind, new(owner, new(BinaryPrimitives.ReadUInt64LittleEndian(bytes[10..]))), source);
        return true;
    }
}
