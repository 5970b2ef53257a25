using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Gives a session a run of block ids: it may store a block under each and commit slices that name it.</summary>
/// <remarks>The node's own packer works under <see cref="SessionId"/> 0. An id leaves its grant with the first slice that
/// names it, so that what is still in a grant when its session ends was never referred to: <see cref="CloseGrants"/>.</remarks>
public static class GrantBlocks
{
    /// <summary>Ids of one grant: 64 GiB of the largest blocks; bounds what a dead client leaves behind.</summary>
    public const uint MaxCount = 4096;

    public static Status Apply(SessionId session, uint count, DriveTransaction transaction, out BlockId first)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        first = default;
        if (count is 0 or > MaxCount) { return Status.Invalid; }
        Status status = transaction.AllocateBlocks(count, out first);
        if (status == Status.Ok) { Put(session, first.Value, first.Value + count - 1, transaction); }
        return status;
    }

    /// <summary>Whether an id is in a session's grants: it may store a block under it.</summary>
    public static bool Holds(SessionId session, BlockId block, DriveView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        return TryFind(session, block, view, out _, out _, out _);
    }

    /// <summary>Takes one id out of a session's grants; false if it is in none of them.</summary>
    internal static bool TryTake(SessionId session, BlockId block, DriveTransaction transaction)
    {
        if (!TryFind(session, block, transaction, out RecordKey key, out ulong first, out ulong last)) { return false; }
        if (block.Value > first) { Put(session, first, block.Value - 1, transaction); }
        if (block.Value < last) { Put(session, block.Value + 1, last, transaction); }
        else { transaction.Delete(ref key); }
        return true;
    }

    /// <summary>The grant that has an id: its record, its first id and its last.</summary>
    private static bool TryFind(SessionId session, BlockId block, DriveView view, out RecordKey key, out ulong first, out ulong last)
    {
        RecordKey from = RecordKey.Numbered(RecordKind.Grant, session.Value, block.Value);
        RecordKey to = RecordKey.Numbered(RecordKind.Grant, session.Value);
        to.ToPrefixEnd();
        key = default;
        first = 0;
        last = 0;
        using DriveCursor cursor = view.Walk(from, to);
        if (!cursor.MoveNext()) { return false; }
        key = Read(cursor, view, out first, out last);
        return block.Value >= first;
    }

    /// <summary>The grant that a cursor is at: its record, its first id and its last.</summary>
    internal static RecordKey Read(DriveCursor cursor, DriveView view, out ulong first, out ulong last)
    {
        RecordKey key = RecordKey.FromRelative(cursor.Key);
        last = BinaryPrimitives.ReadUInt64BigEndian(cursor.Key[^8..]);
        if (!BlockGrant.TryDecode(cursor.Payload, out BlockGrant grant) || grant.Count > last + 1) { view.ThrowCorrupt(ref key); }
        first = last + 1 - grant.Count;
        return key;
    }

    private static void Put(SessionId session, ulong first, ulong last, DriveTransaction transaction)
    {
        RecordKey key = RecordKey.Numbered(RecordKind.Grant, session.Value, last);
        Span<byte> payload = stackalloc byte[BlockGrant.PayloadBytes];
        new BlockGrant((uint)(last - first + 1)).Encode(payload);
        transaction.Put(ref key, payload);
    }
}
