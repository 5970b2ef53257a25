using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>Removes history that no retained version sees any more, in bounded steps that go on after a restart.</summary>
/// <remarks>A history record is seen by S iff written ≤ S &lt; superseded. Exactly those that no retained S sees go; with a
/// slice's, its references to blocks. Source: docs/design.md, section 5.</remarks>
public static class ReapHistory
{
    /// <summary>History records that one step looks at: bounds the time that it keeps the shard's loop.</summary>
    public const int RecordsPerStep = 1024;

    /// <summary>Does one step. In order: (1) read how far it came; (2) look at records from there on; (3) write how far it
    /// is now, or that it is done.</summary>
    /// <param name="transaction">A transaction that has changed no history before.</param>
    /// <param name="more">Call again, in a later transaction.</param>
    /// <returns>Ok, also if there is nothing to do.</returns>
    public static Status Apply(DriveTransaction transaction, out bool more)
    {
        ArgumentNullException.ThrowIfNull(transaction);

        // 1.
        more = false;
        ByteBuffer payload = new();
        if (!TryRead(transaction, payload, out ReaperPosition position)) { return Status.Ok; }

        // 2.
        RecordKey end = RecordKey.Single(RecordKind.History);
        end.ToPrefixEnd();
        RecordKey from = position.Next.IsEmpty
            ? RecordKey.Single(RecordKind.History) : RecordKey.FromRelative(position.Next);
        RecordKey to = position.Wrapped ? PlaceOf(position.Stop) : end;
        bool reachedEnd = Walk(from, to, transaction, out RecordKey next);

        // 3.
        RecordKey key = RecordKey.Single(RecordKind.Reaper);
        if (reachedEnd && (position.Wrapped || position.Stop.IsEmpty))
        {
            transaction.Delete(ref key);
            return Status.Ok;
        }

        more = true;
        ByteBuffer changed = new();
        ReaperPosition reached = new()
        {
            Wrapped = position.Wrapped || reachedEnd,
            Next = reachedEnd ? default : next.Relative,
            Stop = position.Stop,
        };
        reached.Encode(changed);
        transaction.Put(ref key, changed.Span);
        return Status.Ok;
    }

    /// <summary>Whether there is something to reap.</summary>
    public static bool IsScheduled(DriveView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        RecordKey key = RecordKey.Single(RecordKind.Reaper);
        return view.TryGet(ref key, new ByteBuffer());
    }

    /// <summary>Notes that a version is seen no more: once around, from where the reaper is.</summary>
    internal static void Schedule(DriveTransaction transaction)
    {
        ByteBuffer payload = new();
        ReadOnlySpan<byte> at = TryRead(transaction, payload, out ReaperPosition position) ? position.Next : default;
        ByteBuffer changed = new();
        ReaperPosition once = new() { Next = at, Stop = at };
        once.Encode(changed);
        RecordKey key = RecordKey.Single(RecordKind.Reaper);
        transaction.Put(ref key, changed.Span);
    }

    private static bool TryRead(DriveTransaction transaction, ByteBuffer payload, out ReaperPosition position)
    {
        position = default;
        RecordKey key = RecordKey.Single(RecordKind.Reaper);
        if (!transaction.TryGet(ref key, payload)) { return false; }
        if (!ReaperPosition.TryDecode(payload.Span, out position)) { transaction.ThrowCorrupt(ref key); }
        return true;
    }

    private static RecordKey PlaceOf(ReadOnlySpan<byte> place) =>
        place.IsEmpty ? RecordKey.Single(RecordKind.History) : RecordKey.FromRelative(place);

    /// <summary>Looks at the history records of a range; true if it came to the range's end.</summary>
    private static bool Walk(RecordKey from, RecordKey to, DriveTransaction transaction, out RecordKey next)
    {
        ImmutableArray<CowNumber> retained = transaction.State.Retained;
        next = from;
        using DriveCursor cursor = transaction.Walk(from, to);
        for (int seen = 0; cursor.MoveNext(); seen++)
        {
            next = RecordKey.FromRelative(cursor.Key);
            if (seen == RecordsPerStep || transaction.IsStepFull) { return false; }
            if (!RecordKey.TrySplitHistory(cursor.Key, out ReadOnlySpan<byte> original, out CowNumber superseded))
            {
                transaction.ThrowCorrupt(ref next);
            }

            if (IsSeen(cursor.Header.Written, superseded, retained)) { continue; }
            if (original[0] == (byte)RecordKind.Slice) { transaction.Blocks.DropRecord(cursor.Payload); }
            transaction.Delete(ref next);
        }

        return true;
    }

    private static bool IsSeen(CowNumber written, CowNumber superseded, ImmutableArray<CowNumber> retained)
    {
        int at = retained.AsSpan().BinarySearch(written);
        if (at < 0) { at = ~at; }
        return at < retained.Length && retained[at] < superseded;
    }
}
