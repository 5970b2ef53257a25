using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <content>What sessions hold open: it stays when it loses its last name.</content>
internal sealed partial class SimulatedDrive
{
    private readonly HoldTable holds = new();

    /// <summary>Where the next step of the removal of what nobody holds begins.</summary>
    private VNodeId nextOrphan;

    /// <summary>What the transaction in the making makes and opens; none: nothing.</summary>
    private VNodeId opened;

    /// <summary>Whether a drive has VNodes that lost their last name, or never had one.</summary>
    public static bool HasOrphans(DriveView view)
    {
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.Orphan));
        return cursor.MoveNext();
    }

    /// <summary>A session holds a VNode open.</summary>
    public Status Hold(VNodeId id, SessionId session, DriveView view)
    {
        Status status = GetNode.Apply(view, id, out NodeInfo _);
        if (status == Status.Ok) { holds.Add(id, session); }
        return status;
    }

    /// <summary>Notes what a transaction has made and opened, and what has no name, or has one now.</summary>
    private void NoteOpened(SessionId session, IReadOnlyList<TransactOperation> operations, TransactResult done)
    {
        Invariant.Check(done.Opened.Count < 2);
        foreach (VNodeId made in done.Opened)
        {
            opened = made;
            holds.Add(made, session);
        }

        for (int at = 0; at < operations.Count; at++)
        {
            VNodeId node = done.Nodes[at].Id;
            if (operations[at] is CreateOperation { Name.IsEmpty: true }) { holds.MarkOrphan(node); }
            else if (operations[at] is LinkOperation) { holds.UnmarkOrphan(node); }
        }
    }

    /// <summary>What a session holds that goes on here, as it says with its first request: and what that one opened under the primary before,
    /// whose answer it waits for.</summary>
    private SortedDictionary<VNodeId, uint> HeldWith(DriveRequest request)
    {
        SortedDictionary<VNodeId, uint> held = new(request.Held!.ToDictionary());
        ByteBuffer answer = new();
        if (world.Bug != PoolBug.ForgetOpening && RequestLedger.Check(request.Id, View, answer, out Status _) == RequestVerdict.Repeat
            && BitConverter.ToUInt64(answer.Span[(2 * sizeof(ulong))..]) is > 0 and var made)
        {
            held[new(made)] = 1;
        }

        return held;
    }

    /// <summary>A session lets go of a VNode: if it has no name, it goes with the last one. Invalid: it does not hold it.</summary>
    public Status Release(VNodeId id, SessionId session, DriveTransaction step)
    {
        if (!holds.Holders(id).Contains(session)) { return Status.Invalid; }
        return holds.Remove(id, session) ? ReleaseOrphan.Apply(id, session, holds, step, out bool _) : Status.Ok;
    }
}
