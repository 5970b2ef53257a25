using KvFs.Core;
using KvFs.Node.Shards;

namespace KvFs.Node.Replication;

/// <summary>What a shard's owner on this node asks for.</summary>
public sealed partial class ReplicationDriver
{
    internal Epoch EpochOf(ShardId shard)
    {
        lock (gate) { return Find(shard)?.Core.Reign?.Epoch ?? default; }
    }

    internal LogIndex PublishedOf(ShardId shard)
    {
        lock (gate) { return Find(shard)?.Published ?? default; }
    }

    internal bool IsOwed(ShardId shard)
    {
        lock (gate) { return Find(shard) is { } replica && replica.Log.Applied < replica.ApplyUpTo; }
    }

    internal bool IsBroken(ShardId shard)
    {
        lock (gate) { return hasFailed || Find(shard)?.IsBroken == true; }
    }

    internal bool CanServe(ShardId shard)
    {
        lock (gate) { return !hasFailed && Find(shard) is { } replica && replica.Core.CanServe(SuspendClock.Now); }
    }

    internal Status Resume(ShardId shard)
    {
        lock (gate)
        {
            if (hasFailed) { return Status.IoError; }
            if (Find(shard) is not { } replica || !replica.Core.CanServe(SuspendClock.Now)) { return Status.StaleEpoch; }
            if (replica.Log.Applied < replica.ApplyUpTo) { Apply(replica); }
            return hasFailed ? Status.IoError : replica.Log.Applied < replica.ApplyUpTo ? Status.NoSpace : Status.Ok;
        }
    }

    /// <summary>Appends an entry and waits until it is applied. See <see cref="IShardLog.Commit"/>.</summary>
    internal Status Commit(ShardId shard, DriveId drive, RecordBatch changes)
    {
        LogWaiter waiter;
        lock (gate)
        {
            if (hasFailed) { return Status.IoError; }
            TimeSpan now = SuspendClock.Now;
            if (Find(shard) is not { } replica || !replica.Core.CanSubmit(now)) { return Status.StaleEpoch; }
            if (replica.Log.Applied < replica.ApplyUpTo) { return Status.NoSpace; }
            LogIndex index = replica.Core.Last.Index.Next;
            Status status = replica.Log.Append(index, replica.Core.Reign!.Epoch, drive, changes.Bytes);
            if (status == Status.NoSpace) { return status; }
            if (status != Status.Ok)
            {
                Fail($"writing the log of shard {shard}: {status}");
                return Status.IoError;
            }

            Invariant.Check(replica.Core.TrySubmit(now, effects, out LogPosition position) && position.Index == index);
            CarryOut(null);
            if (replica.Log.Applied >= index) { return Status.Ok; }
            if (hasFailed) { return Status.IoError; }
            if (replica.ApplyUpTo >= index) { return Status.Unknown; }
            waiter = LogWaiter.Take(index, wantsDurable: false);
            replica.Add(waiter);
        }

        return waiter.Wait();
    }

    /// <summary>Waits until all that is committed is on disk at every in-sync replica. See <see cref="IShardLog.Sync"/>.</summary>
    internal Status Sync(ShardId shard)
    {
        LogWaiter waiter;
        lock (gate)
        {
            if (hasFailed) { return Status.IoError; }
            if (Find(shard) is not { } replica || !replica.Core.IsPrimary) { return Status.Unknown; }
            LogIndex index = replica.Core.Committed;
            if (replica.Core.Durable >= index) { return Status.Ok; }
            replica.Core.RequestDurable(index, SuspendClock.Now, effects);
            CarryOut(null);
            if (hasFailed) { return Status.IoError; }
            if (replica.Core.Durable >= index) { return Status.Ok; }
            waiter = LogWaiter.Take(index, wantsDurable: true);
            replica.Add(waiter);
        }

        return waiter.Wait();
    }

    private HostedReplica? Find(ShardId shard) => replicas.GetValueOrDefault(shard);

    /// <summary>One shard's log as its owner has it.</summary>
    private sealed class ReplicatedShardLog(ReplicationDriver driver, ShardId shard) : IShardLog
    {
        public Epoch Epoch => driver.EpochOf(shard);

        public bool IsBroken => driver.IsBroken(shard);

        public LogIndex Published => driver.PublishedOf(shard);

        public bool IsOwed => driver.IsOwed(shard);

        public bool CanServe => driver.CanServe(shard);

        public Status Resume() => driver.Resume(shard);

        public Status Commit(DriveId drive, RecordBatch changes) => driver.Commit(shard, drive, changes);

        public Status Sync() => driver.Sync(shard);
    }
}
