using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Replication;

/// <summary>Removes what this node has of shards that have moved on from it.</summary>
/// <remarks>While a shard is being forgotten this node takes no block of it and begins no list of what it lacks: if it is given the shard anew
/// meanwhile, it looks for what it lacks when nothing is removed any more.</remarks>
public sealed partial class ReplicationDriver
{
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
        lock (gate)
        {
            return !hasFailed && Find(shard) is { } replica && replica.Core.CanServe(SuspendClock.Now)
                && replica.Log.Applied >= replica.Core.Committed && replica.Core.Committed == replica.Core.Last.Index;
        }
    }

    /// <summary>Whether a shard was ever begun anew without what a lost copy may have had.</summary>
    internal bool HasLoss(ShardId shard)
    {
        lock (gate) { return ReignOf(shard)?.Entry.Loss is not null; }
    }

    /// <summary>Removes a shard's log and the records of its drives; once that is on disk its blocks may be removed, until
    /// <see cref="EndForgetting"/>.</summary>
    /// <returns>False: this node may have a part in it; nothing was removed.</returns>
    internal bool BeginForgetting(ShardId shard)
    {
        lock (gate)
        {
            if (hasFailed || !core.MayForget(shard)) { return false; }
            HostedReplica? hosted = Find(shard);
            ReplicaLog log = hosted?.Log ?? new(store, shard, options.ShardCount);
            Require(shard, log.Forget());
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

    /// <summary>All blocks that are to be removed are.</summary>
    internal void EndForgetting(ShardId shard)
    {
        lock (gate) { forgetting.Remove(shard); }
    }
}
