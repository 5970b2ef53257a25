using System.Runtime.InteropServices;

namespace KvFs.Core;

/// <summary>Makes slice and base records name copies of what they name in half-dead blocks, so that these die.</summary>
/// <remarks>
/// What a file shows does not change, nor do its size, times, backed bytes and the order of its slices: a record is replaced
/// by one that differs only in the places of its bytes. For each record, in order: (1) it must be the one that was read, and
/// no retained version may see it, or it is passed over; (2) its references move from the old blocks to the new one, which
/// comes from the grants of session 0; (3) it is put under the same key. That the new block holds the same bytes, durably, is
/// the driver's word. Works in steps: again while <see cref="MoveRequest.Next"/> has not come to the end.
/// </remarks>
public static class MoveRuns
{
    /// <summary>Does one step.</summary>
    /// <param name="request">What to move; <see cref="MoveRequest.Next"/> says where to begin.</param>
    /// <param name="transaction">The transaction.</param>
    /// <param name="next">Where the next step begins, once this one is committed.</param>
    /// <returns>Ok, also if all records were passed over; Conflict: the new block is not session 0's to name.</returns>
    public static Status Apply(MoveRequest request, DriveTransaction transaction, out int next)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(transaction);
        ByteBuffer payload = new();
        List<Slice> runs = [];
        for (next = request.Next; next < request.Records.Count && !transaction.IsStepFull; next++)
        {
            // 1.
            MovedRecord moved = request.Records[next];
            SliceKey place = moved.Place;
            RecordKey key = RecordKey.Slice(place.Node, place.Cluster, place.Cow, place.Sequence);
            bool isSame = transaction.TryGet(ref key, payload, out RecordHeader header) && header.Written == moved.Written;
            if (!isSame || !IsMovable(header, transaction.State)) { continue; }
            runs.Clear();
            if (!TryReadRuns(payload.Span, runs)) { transaction.ThrowCorrupt(ref key); }

            // 2.
            bool isBase = ClusterBase.IsBase(payload.Span);
            Status status = Move(request, moved, runs, transaction);
            if (status != Status.Ok) { return status; }

            // 3.
            if (isBase) { ClusterBase.Encode(CollectionsMarshal.AsSpan(runs), payload); }
            else { runs[0].Encode(default, payload); }
            transaction.Put(ref key, payload.Span);
        }

        return Status.Ok;
    }

    /// <summary>Whether no retained version sees a present record: replacing it frees what it names.</summary>
    public static bool IsMovable(in RecordHeader header, DriveState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        return state.Retained.IsEmpty || header.Written > state.LastRetained;
    }

    /// <summary>Adds the runs of a slice or base record to a list; false if the payload is damaged.</summary>
    public static bool TryReadRuns(ReadOnlySpan<byte> payload, List<Slice> runs)
    {
        ArgumentNullException.ThrowIfNull(runs);
        if (ClusterBase.IsBase(payload)) { return ClusterBase.TryDecode(payload, runs); }
        if (!Slice.TryDecode(payload, out Slice slice, out _)) { return false; }
        runs.Add(slice);
        return true;
    }

    private static Status Move(MoveRequest request, in MovedRecord moved, List<Slice> runs, DriveTransaction transaction)
    {
        int target = moved.FirstTarget;
        int end = target + moved.Count;
        for (int at = 0; at < runs.Count && target < end; at++)
        {
            Slice run = runs[at];
            if (!request.IsEvacuated(run)) { continue; }
            transaction.Blocks.Drop(run.Block, run.Length);
            Status status = transaction.Blocks.Add(request.Target, run.Length, default);
            if (status != Status.Ok) { return status; }
            runs[at] = run with { Block = request.Target, SourceOffset = request.Offsets[target++] };
        }

        Invariant.Check(target == end);
        return Status.Ok;
    }
}
