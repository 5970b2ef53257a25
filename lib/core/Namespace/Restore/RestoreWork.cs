using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>A VNode that a restore has made and not yet filled.</summary>
/// <remarks>The record's key has source and target; layout of the payload, 8 bytes, little-endian: the position. Source:
/// docs/format.md#restore.</remarks>
/// <param name="Source">What is copied.</param>
/// <param name="Target">The copy.</param>
/// <param name="Position">Of a directory the least hash of the entries still to come; of a file the next byte.</param>
internal readonly record struct RestoreWork(VNodeId Source, VNodeId Target, ulong Position)
{
    public static void Add(VNodeId source, VNodeId target, DriveTransaction transaction) =>
        new RestoreWork(source, target, 0).Write(transaction);

    public void Write(DriveTransaction transaction)
    {
        Span<byte> payload = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(payload, Position);
        RecordKey key = Key;
        transaction.Put(ref key, payload);
    }

    public void Delete(DriveTransaction transaction)
    {
        RecordKey key = Key;
        transaction.Delete(ref key);
    }

    /// <summary>The first one, or with <paramref name="behind"/> the next one in key order.</summary>
    public static bool TryGetNext(RestoreWork? behind, DriveTransaction transaction, out RestoreWork work)
    {
        work = default;
        RecordKey from = behind is { } last
            ? RecordKey.Numbered(RecordKind.RestoreWork, last.Source.Value, last.Target.Value + 1)
            : RecordKey.Single(RecordKind.RestoreWork);
        RecordKey end = RecordKey.Single(RecordKind.RestoreWork);
        end.ToPrefixEnd();
        using DriveCursor cursor = transaction.Walk(from, end);
        if (!cursor.MoveNext()) { return false; }
        if (cursor.Payload.Length != 8 || !RecordKey.TrySplitNumbers(cursor.Key, out ulong source, out ulong target))
        {
            throw new RecordCorruptException(Status.Corrupt, cursor.Key);
        }

        work = new(new(source), new(target), BinaryPrimitives.ReadUInt64LittleEndian(cursor.Payload));
        return true;
    }

    /// <summary>Finds the copy of a VNode with several names, if one of them came by before.</summary>
    public static bool TryGetLink(VNodeId source, DriveTransaction transaction, out VNodeId target)
    {
        target = default;
        ByteBuffer payload = new(8);
        RecordKey key = RecordKey.Numbered(RecordKind.RestoreLink, source.Value);
        if (!transaction.TryGet(ref key, payload)) { return false; }
        if (payload.Length != 8) { transaction.ThrowCorrupt(ref key); }
        target = new(BinaryPrimitives.ReadUInt64LittleEndian(payload.Span));
        return true;
    }

    public static void PutLink(VNodeId source, VNodeId target, DriveTransaction transaction)
    {
        Span<byte> payload = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(payload, target.Value);
        RecordKey key = RecordKey.Numbered(RecordKind.RestoreLink, source.Value);
        transaction.Put(ref key, payload);
    }

    /// <summary>Deletes the notes of one kind as far as one step goes; false if there are more.</summary>
    public static bool TryRemoveAll(RecordKind kind, DriveTransaction transaction)
    {
        using DriveCursor cursor = transaction.WalkPrefix(RecordKey.Single(kind));
        while (cursor.MoveNext())
        {
            if (transaction.IsStepFull) { return false; }
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            transaction.Delete(ref key);
        }

        return true;
    }

    private RecordKey Key => RecordKey.Numbered(RecordKind.RestoreWork, Source.Value, Target.Value);
}
