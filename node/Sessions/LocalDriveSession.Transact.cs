using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Sessions;

public sealed partial class LocalDriveSession
{
    /// <remarks>The gate is not held around it, so that what is in the way of a commit can be cleared; holders are looked up in the
    /// operation, and what follows is noted before the gate is let go.</remarks>
    public ValueTask<Status> TransactAsync(TransactRequest request, TransactResult result)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(result);
        result.Clear();
        for (int at = 0; at < request.Operations.Count; at++)
        {
            if (request.Operations[at] is CommitOperation committing) { committing.Commit.Stored = Stored; }
        }

        // A version that others have written to in their memory is not the last one.
        foreach (Precondition each in request.Preconditions)
        {
            if (each is VersionIs version && Settle(version.Node, CowNumber.Head) is var settled and not Status.Ok) { return new(settled); }
        }

        Status status = Run(
            static (in TransactArgument argument, DriveTransaction transaction, out bool done) =>
            {
                done = true;
                LocalDriveSession session = argument.Session;
                return Transact.Apply(argument.Request, session.Id, session.drive.Holds, transaction, argument.Told);
            },
            new TransactArgument(this, request, result),
            UseOf(request),
            out bool _,
            static (in TransactArgument argument, bool _) => argument.Session.Note(argument.Request, argument.Told));
        if (status != Status.Ok && result.Nodes.Count > 0) { result.Clear(); }
        return new(status);
    }

    /// <summary>A request is let through on a nearly full disk only if each of its operations would be, or
    /// it is done already as far as programs know.</summary>
    private static SpaceUse UseOf(TransactRequest request)
    {
        if (request.Owed) { return SpaceUse.Release; }
        for (int at = 0; at < request.Operations.Count; at++)
        {
            bool releases = request.Operations[at] switch
            {
                UnlinkOperation or RemoveXattrOperation => true,
                SetAttributesOperation set => (set.Request.Mask & AttributeMask.Size) != 0,
                _ => false,
            };
            if (!releases) { return SpaceUse.Metadata; }
        }

        return SpaceUse.Release;
    }

    /// <summary>Notes what a transaction has opened, orphaned, left to remove and used. With the gate held.</summary>
    private void Note(TransactRequest request, TransactResult result)
    {
        foreach (VNodeId opened in result.Opened) { drive.Holds.Add(opened, Id); }
        bool reaps = result.ToReap.Count > 0;
        for (int at = 0; at < request.Operations.Count; at++)
        {
            NodeInfo info = result.Nodes[at];
            switch (request.Operations[at])
            {
                case LinkOperation:
                    drive.Holds.UnmarkOrphan(info.Id);
                    break;
                case CreateOperation or UnlinkOperation or RenameOperation:
                    NoteNameless(info);
                    break;
                case SetAttributesOperation:
                    reaps |= (info.VNode.Flags & VNodeFlags.HasCut) != 0;
                    break;
                case CommitOperation commit:
                    drive.OnCommitted(commit.Commit);
                    stored.Forget(commit.Commit);
                    break;
                default:
                    break;
            }
        }

        if (reaps) { drive.Reap(); }
        if (result.Grown != default) { drive.Unreserve(Id, result.Grown); }
    }

    /// <summary>Notes what a request of this session has opened and used under the primary before.</summary>
    internal void Note(IEnumerable<VNodeId> opened, Reservation grown)
    {
        using (drive.Shard.Enter())
        {
            foreach (VNodeId node in opened) { drive.Holds.Add(node, Id); }
        }

        if (grown != default) { drive.Unreserve(Id, grown); }
    }

    /// <summary>Whoever holds what has no name now holds an orphan.</summary>
    private void NoteNameless(in NodeInfo info)
    {
        if (info.Id == VNodeId.None || info.VNode.Nlink > 0) { return; }
        if (!drive.Holds.Holders(info.Id).IsEmpty) { drive.Holds.MarkOrphan(info.Id); }
    }

    private readonly record struct TransactArgument(
        LocalDriveSession Session, TransactRequest Request, TransactResult Told);
}
