using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Replication;

/// <summary>Removes what this node has of shards that have moved on from it.</summary>
/// <remarks>While a shard is being forgotten this node takes no block of it and begins no list of what it lacks: if it is given the shard anew
/// meanwhile, it looks for what it lacks when nothing is removed any more.</remarks>
public sealed partial class ReplicationDriver
{
    /// <summary>Bytes that must be free before records are removed: that takes room in the journal first.</summary>
    private const long RoomToForget = 1 << 20;

    private readonly HashSet<ShardId> forgetting = [];

    /// <summary>Shards in which this node has no part, and the epochs in which it has none.</summary>
    internal IReadOnlyList<(ShardId Shard, Epoch Epoch)> Strange()
    {
        lock (gate) { return hasFailed ? [] : [.. core.Strange]; }
    }

    /// <summary>As <see cref="ReplicaNode.IsWholeWithout"/>.</summary>
    internal bool IsWholeWithout(ShardId shard, NodeId node, Epoch epoch, int copies)
    {
        lock (gate) { return !hasFailed && core.IsWholeWithout(shard, node, epoch, copies, SuspendClock.Now); }
    }

    /// <summary>Whether this node is the primary of a shard at this moment, and its records are all that there is of it.</summary>
    internal bool HasAllRecords(ShardId shard)
    {
        lock (gate) { return HasCommittedNow(shard) && Find(shard)!.Core is var primary && primary.Committed == primary.Last.Index; }
    }

    /// <summary>Whether this node is the primary of a shard at this moment, and its records are all that were committed: some may be about to be.
    /// </summary>
    internal bool HasCommitted(ShardId shard)
    {
        lock (gate) { return HasCommittedNow(shard); }
    }

    /// <summary>As <see cref="ShardReplica.TellsWhatIsGone"/>, of this node's records.</summary>
    internal bool TellsWhatIsGone(ShardId shard)
    {
        lock (gate) { return !hasFailed && Find(shard) is { } replica && replica.Core.TellsWhatIsGone(replica.Log.Applied, SuspendClock.Now); }
    }

    private bool HasCommittedNow(ShardId shard) =>
        !hasFailed && Find(shard) is { } replica && replica.Core.CanServe(SuspendClock.Now) && replica.Log.Applied >= replica.Core.Committed;

    /// <summary>Whether a shard was ever begun anew without what a lost copy may have had.</summary>
    internal bool HasLoss(ShardId shard)
    {
        lock (gate) { return ReignOf(shard)?.Entry.Loss is not null; }
    }

    /// <summary>Removes a shard's log and the records of its drives; once that is on disk its blocks may be removed, until
    /// <see cref="EndForgetting"/>.</summary>
    /// <param name="shard">Which.</param>
    /// <param name="epoch">In which its primary has just said that the pool has all copies without this one.</param>
    /// <param name="drives">All drives of the shard that have records here.</param>
    /// <returns>False: this node may have a part in it, or the disk is full; nothing was removed.</returns>
    internal bool BeginForgetting(ShardId shard, Epoch epoch, IEnumerable<DriveId> drives)
    {
        lock (gate)
        {
            HostedReplica? hosted = Find(shard);
            bool isSo = !hasFailed && core.MayForget(shard) && ReignOf(shard)!.Epoch == epoch && hosted?.IsSyncing != true
                && hosted?.Core.IsInstalling != true;
            if (!isSo || space.Check(RoomToForget, SpaceUse.Release) != Status.Ok || first.Write() != Status.Ok) { return false; }
            ReplicaLog log = hosted?.Log ?? new(store, shard, options.ShardCount);
            Status status = log.Forget(drives);
            if (status == Status.NoSpace) { return false; }
            Require(shard, status);
            if (hasFailed) { return false; }
            if (hosted is not null)
            {
                Host(log, core.Forget(shard, SuspendClock.Now, effects), hosted.Term + 1);
                CarryOut(null);
            }

            forgetting.Add(shard);
            return !hasFailed;
        }
    }

    /// <summary>Keeps this node from taking blocks of shards in which it has no part, until <see cref="EndForgetting"/>.</summary>
    /// <returns>Those that are kept since now; null: it has a part in one of them, or may.</returns>
    internal IReadOnlyList<ShardId>? TryKeepOut(IEnumerable<ShardId> shards)
    {
        lock (gate)
        {
            if (hasFailed || !shards.All(core.MayForget)) { return null; }
            return [.. shards.Where(forgetting.Add)];
        }
    }

    /// <summary>All blocks that are to be removed are.</summary>
    internal void EndForgetting(IReadOnlyList<ShardId> shards)
    {
        lock (gate) { forgetting.ExceptWith(shards); }
    }
}
