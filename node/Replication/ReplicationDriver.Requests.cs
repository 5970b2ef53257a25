using KvFs.Core;
using KvFs.Node.Shards;
using KvFs.Protocol;

namespace KvFs.Node.Replication;

/// <summary>What a shard's owner on this node asks for.</summary>
public sealed partial class ReplicationDriver
{
    /// <summary>One shard's log as its owner has it, in one term.</summary>
    private sealed class ReplicatedShardLog(ReplicationDriver driver, ShardId shard, ulong term) : IShardLog
    {
        public Epoch Epoch
        {
            get
            {
                lock (driver.gate) { return driver.replicas[shard].Core.Reign?.Epoch ?? default; }
            }
        }

        public bool IsBroken
        {
            get
            {
                lock (driver.gate) { return driver.hasFailed || driver.replicas[shard].IsBroken; }
            }
        }

        public LogIndex Published
        {
            get
            {
                lock (driver.gate) { return driver.replicas[shard].Published; }
            }
        }

        public LogPosition Position
        {
            get
            {
                lock (driver.gate)
                {
                    HostedReplica replica = driver.replicas[shard];
                    return new(replica.Core.EpochAt(replica.Published), replica.Published);
                }
            }
        }

        public bool IsOwed
        {
            get
            {
                lock (driver.gate) { return Replica is { } replica && replica.Log.Applied < replica.ApplyUpTo; }
            }
        }

        public bool CanServe
        {
            get
            {
                lock (driver.gate) { return !driver.hasFailed && Replica?.Core.CanServe(SuspendClock.Now) == true; }
            }
        }

        /// <summary>The shard, if its term goes on. With the driver's lock held.</summary>
        private HostedReplica? Replica => driver.replicas[shard] is { } replica && replica.Term == term ? replica : null;

        public bool Has(LogPosition answered)
        {
            lock (driver.gate)
            {
                ShardReplica replica = driver.replicas[shard].Core;
                return replica.Reign?.Entry.Loss?.Took(answered) != true && replica.Has(answered);
            }
        }

        public Status Resume()
        {
            lock (driver.gate)
            {
                if (driver.hasFailed) { return Status.IoError; }
                if (Replica is not { } replica || !replica.Core.CanServe(SuspendClock.Now)) { return Status.StaleEpoch; }
                return driver.Resume(replica);
            }
        }

        public Status Begin(DriveId drive, RecordBatch changes, bool wantsDurable, out LogIndex index)
        {
            index = default;
            lock (driver.gate)
            {
                if (driver.hasFailed) { return Status.IoError; }
                if (Replica is not { } replica) { return Status.StaleEpoch; }
                Status status = driver.Submit(replica, drive, changes, wantsDurable, out LogIndex place);
                if (status == Status.Ok && replica.Log.Applied < place) { index = place; }
                return status;
            }
        }

        public Status Await(LogIndex index)
        {
            LogWaiter waiter;
            lock (driver.gate)
            {
                if (driver.hasFailed) { return Status.IoError; }
                if (Replica is not { } replica) { return Status.Unknown; }
                if (replica.Log.Applied >= index) { return Status.Ok; }
                if (replica.ApplyUpTo >= index) { return replica.IsBroken ? Status.IoError : Status.Unknown; }
                waiter = LogWaiter.Take(index, wantsDurable: false);
                replica.Add(waiter);
            }

            return waiter.TakeAnswer();
        }

        public Status Sync(LogIndex upTo)
        {
            LogWaiter waiter;
            lock (driver.gate)
            {
                if (driver.hasFailed) { return Status.IoError; }
                if (Replica is not { Core.IsPrimary: true } replica) { return Status.Unknown; }
                Status status = driver.RequestDurable(replica, upTo, out LogIndex index);
                if (status != Status.Busy) { return status; }
                waiter = LogWaiter.Take(index, wantsDurable: true);
                replica.Add(waiter);
            }

            return waiter.TakeAnswer();
        }
    }

    /// <summary>Applies what is owed. The lock is held.</summary>
    private Status Resume(HostedReplica replica)
    {
        if (replica.Log.Applied < replica.ApplyUpTo) { Apply(replica); }
        return hasFailed ? Status.IoError : replica.Log.Applied < replica.ApplyUpTo ? Status.NoSpace : Status.Ok;
    }

    /// <summary>Appends an entry, and has it sent. The lock is held.</summary>
    /// <returns>As <see cref="IShardLog.Begin"/>.</returns>
    private Status Submit(HostedReplica replica, DriveId drive, RecordBatch changes, bool wantsDurable, out LogIndex index)
    {
        TimeSpan now = SuspendClock.Now;
        index = replica.Core.Last.Index.Next;
        if (!replica.Core.CanSubmit(now)) { return Status.StaleEpoch; }
        if (replica.Log.Applied < replica.ApplyUpTo) { return Status.NoSpace; }
        Status status = first.Write();
        if (status == Status.Ok) { status = replica.Log.Append(index, replica.Core.Reign!.Epoch, drive, changes.Bytes); }
        if (status == Status.NoSpace) { return status; }
        if (status != Status.Ok)
        {
            Fail($"writing the log of shard {replica.Log.Shard}: {status}");
            return Status.IoError;
        }

        Invariant.Check(replica.Core.TrySubmit(now, wantsDurable, effects, out LogPosition position) && position.Index == index);
        CarryOut(null);
        return hasFailed ? Status.IoError : replica.ApplyUpTo >= index && replica.Log.Applied < index ? Status.Unknown : Status.Ok;
    }

    /// <summary>Wants a committed entry, or all of them, on disk everywhere. The lock is held.</summary>
    /// <returns>Ok: it is; IoError; Busy: it will be.</returns>
    private Status RequestDurable(HostedReplica replica, LogIndex upTo, out LogIndex index)
    {
        index = upTo == default ? replica.Core.Committed : upTo;
        if (replica.Core.Durable >= index) { return Status.Ok; }
        replica.Core.RequestDurable(index, SuspendClock.Now, effects);
        CarryOut(null);
        return hasFailed ? Status.IoError : replica.Core.Durable >= index ? Status.Ok : Status.Busy;
    }

    private HostedReplica? Find(ShardId shard) => replicas.GetValueOrDefault(shard);
}
