using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>What a restore does next. Bytes on disk: never renumber.</summary>
internal enum RestorePhase : byte
{
    /// <summary>The whole drive: record by record, in place.</summary>
    Drive = 1,

    /// <summary>A path: copies what the snapshot shows into a tree that nobody sees yet.</summary>
    Copy = 2,

    /// <summary>The tree is in place, or given up: forgets the notes about it.</summary>
    Clean = 3,
}

/// <summary>How far a restore has come: the payload of the Restore record. There is one while it goes on.</summary>
/// <remarks>Layout, little-endian: 0: <see cref="RestorePhase"/>; 1-8: version; 9-16: VNode that is restored; 17-24: the one
/// that stands for it; 25-28: subdirectories of that; 29-30: length n of the position; n bytes: the relative key that the
/// whole drive's restore looks at next; the rest: the path as it was asked for. Source: docs/format.md#restore.</remarks>
internal readonly ref struct RestoreJob
{
    private const int FixedBytes = 31;

    public RestorePhase Phase { get; init; }

    public CowNumber At { get; init; }

    public VNodeId Source { get; init; }

    public VNodeId Staged { get; init; }

    public uint Subdirectories { get; init; }

    public ReadOnlySpan<byte> Position { get; init; }

    public ReadOnlySpan<byte> Path { get; init; }

    /// <summary>Reads the drive's job, whose spans are in <paramref name="payload"/>; false if there is none.</summary>
    public static bool TryRead(DriveView view, ByteBuffer payload, out RestoreJob job)
    {
        job = default;
        RecordKey key = RecordKey.Single(RecordKind.Restore);
        if (!view.TryGet(ref key, payload)) { return false; }
        if (!TryDecode(payload.Span, out job)) { view.ThrowCorrupt(ref key); }
        return true;
    }

    public void Write(DriveTransaction transaction)
    {
        ByteBuffer payload = new();
        Span<byte> bytes = payload.Extend(FixedBytes);
        bytes[0] = (byte)Phase;
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[1..], At.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[9..], Source.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[17..], Staged.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[25..], Subdirectories);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[29..], (ushort)Position.Length);
        payload.Append(Position);
        payload.Append(Path);
        RecordKey key = RecordKey.Single(RecordKind.Restore);
        transaction.Put(ref key, payload.Span);
    }

    public static void Delete(DriveTransaction transaction)
    {
        RecordKey key = RecordKey.Single(RecordKind.Restore);
        transaction.Delete(ref key);
    }

    private static bool TryDecode(ReadOnlySpan<byte> payload, out RestoreJob job)
    {
        job = default;
        if (payload.Length < FixedBytes || payload[0] is < (byte)RestorePhase.Drive or > (byte)RestorePhase.Clean)
        {
            return false;
        }

        int positionBytes = BinaryPrimitives.ReadUInt16LittleEndian(payload[29..]);
        ReadOnlySpan<byte> rest = payload[FixedBytes..];
        if (positionBytes > rest.Length || positionBytes > RecordKey.MaxBytes - DriveId.Size) { return false; }
        job = new()
        {
            Phase = (RestorePhase)payload[0],
            At = new(BinaryPrimitives.ReadUInt64LittleEndian(payload[1..])),
            Source = new(BinaryPrimitives.ReadUInt64LittleEndian(payload[9..])),
            Staged = new(BinaryPrimitives.ReadUInt64LittleEndian(payload[17..])),
            Subdirectories = BinaryPrimitives.ReadUInt32LittleEndian(payload[25..]),
            Position = rest[..positionBytes],
            Path = rest[positionBytes..],
        };
        return true;
    }
}
