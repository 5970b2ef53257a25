using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Sessions;

/// <content>Files whose writes are left with a session: with this one, or with others, who are asked before this one sees or changes them.</content>
public sealed partial class LocalDriveSession
{
    /// <summary>Nothing was left with others when what this thread carries out began: it need not wait for anybody.</summary>
    [ThreadStatic]
    private static bool t_isSettled;

    /// <summary>Whether nothing is left with others.</summary>
    internal bool HasNoOthers => drive.Writes.HasNoOthers(Id);

    /// <summary>Has this thread do what was asked for when <see cref="HasNoOthers"/> was true.</summary>
    internal static void DoSettled(IThreadPoolWorkItem work)
    {
        t_isSettled = true;
        try
        {
            work.Execute();
        }
        finally
        {
            t_isSettled = false;
        }
    }

    public ValueTask<Reply<NodeInfo>> DelegateAsync(VNodeId id)
    {
        if (!Access.IsShared()) { return new(Reply.Failed<NodeInfo>(Status.NotSupported)); }
        bool isLeft = false;
        Reply<NodeInfo> reply = WithGate(in id, (in VNodeId node, KeptChange change, out NodeInfo info) =>
        {
            info = default;
            if (!MayHaveFiles() || IsHeldByOthers(node)) { return Status.Locked; }
            Status status = Run(
                static (in (SessionId Session, VNodeId Node) left, DriveTransaction transaction, out NodeInfo result) =>
                    DelegateWrites.Apply(left.Session, left.Node, transaction, out result),
                (Id, node),
                SpaceUse.Metadata,
                out info,
                change: change);
            isLeft = status == Status.Ok;
            if (isLeft) { drive.Writes.Leave(node, Id); }
            return status;
        });

        // The client is not told that it has them: it does not.
        if (isLeft && !reply.IsOk) { drive.Writes.Take(Id, [id]); }
        return new(reply);
    }

    public ValueTask<Status> ReturnDelegationsAsync(IReadOnlyCollection<VNodeId> nodes)
    {
        ArgumentNullException.ThrowIfNull(nodes);
        return new(Run(
            static (in (LocalDriveSession Session, IReadOnlyCollection<VNodeId> Nodes) given, DriveTransaction transaction, out bool done) =>
            {
                done = true;
                return ReturnDelegations.Apply(given.Session.Id, given.Nodes, transaction);
            },
            (this, nodes),
            SpaceUse.Release,
            out bool _,
            static (in (LocalDriveSession Session, IReadOnlyCollection<VNodeId> Nodes) given, bool _) =>
                given.Session.drive.Writes.Take(given.Session.Id, given.Nodes)));
    }

    /// <summary>With the gate held: who has ended is left nothing.</summary>
    private bool MayHaveFiles() => Access.IsShared() && !Access.IsReadOnly() && drive.Sessions.IsLive(Id) && drive.Writes.HasRoom(Id);

    private bool IsHeldByOthers(VNodeId node)
    {
        foreach (SessionId holder in drive.Holds.Holders(node))
        {
            if (holder != Id) { return true; }
        }

        return false;
    }

    /// <summary>Has others give a VNode back before it is read at a version. Without the gate.</summary>
    private Status Settle(VNodeId node, CowNumber at)
    {
        bool isOwn = at != CowNumber.Head || t_isSettled || Volatile.Read(ref closed) != 0 || !drive.Writes.HasOther(Id, node);
        return isOwn ? Status.Ok : drive.Writes.Settle(Id, [node]);
    }

    /// <summary>As <see cref="SettleFound(CowNumber, long, IReadOnlyCollection{VNodeId})"/>, of one.</summary>
    private Status SettleFound(CowNumber at, long sample, VNodeId node) =>
        at != CowNumber.Head || t_isSettled || drive.Writes.IsSettled(Id, node, sample) ? Status.Ok : SettleFound(at, sample, [node]);

    /// <summary>Whether VNodes that were found since a sample are as they are shown; if not, has others give them back.</summary>
    /// <returns>Ok: they are; Busy: look again; else as <see cref="WriteDelegations.Settle"/>.</returns>
    private Status SettleFound(CowNumber at, long sample, IReadOnlyCollection<VNodeId> nodes)
    {
        if (at != CowNumber.Head || t_isSettled || nodes.All(node => drive.Writes.IsSettled(Id, node, sample))) { return Status.Ok; }
        Status settled = drive.Writes.Settle(Id, nodes);
        return settled == Status.Ok ? Status.Busy : settled;
    }
}
