using KvFs.Core;
using KvFs.Node.Shards;

namespace KvFs.Node.Replication;

/// <summary>Who a node is in its pool, and how it works with the others.</summary>
public sealed record ReplicationOptions
{
    /// <summary>This node, its disk, and the process that it is.</summary>
    public required InSyncReplica Process { get; init; }

    public required PoolId Pool { get; init; }

    /// <summary>Shards of the pool.</summary>
    public required int ShardCount { get; init; }

    /// <summary>Copies that the pool asks for before anything is acknowledged.</summary>
    public int MinInSync { get; init; } = PoolSettings.Default.MinInSync;

    public ReplicationTimes Times { get; init; } = ReplicationTimes.Default;

    /// <summary>How long this node's disk has owed an answer; see <see cref="DiskCondition.Stuck"/>. For any thread; must not
    /// wait.</summary>
    public Func<TimeSpan> DiskOwes { get; init; } = static () => TimeSpan.Zero;

    /// <summary>A folder for snapshots on their way in: files without a name.</summary>
    public string ScratchPath { get; init; } = Path.GetTempPath();

    /// <summary>Blocks go with the shards: a copy counts only once it has told that it has all.</summary>
    public bool KeepsBlocks { get; init; }

    /// <summary>A node that was silent for so long gets no copies back: they are made anew elsewhere.</summary>
    public TimeSpan LostAfter { get; init; } = TimeSpan.FromMinutes(10);
}

/// <summary>Takes messages to other nodes. Never waits: what cannot be sent is lost.</summary>
public interface IPeerSender
{
    /// <summary>Sends a message to a node, some time, or never.</summary>
    void Send(NodeId to, Protocol.V1.PeerMessage message);

    /// <summary>Bytes that wait to be sent to a node: who sends much stops at some point.</summary>
    long WaitingBytes(NodeId to);
}

/// <summary>Has the pool map changed.</summary>
public interface IReignProposer
{
    /// <summary>Tries, in its own time; the answer goes to <see cref="ReplicationDriver.OnProposed"/>.</summary>
    void Propose(ProposeReign proposal);
}

/// <summary>Whoever serves a shard's drives while this node is its primary.</summary>
/// <remarks>Called in order, by one thread at a time, without any lock held.</remarks>
public interface IShardOwner
{
    /// <summary>This node is primary of the shard, and may answer.</summary>
    /// <param name="shard">Which.</param>
    /// <param name="log">Its log, for as long as this goes on: it refuses everything once that has ended, also when this node
    /// becomes primary again.</param>
    void OnServing(ShardId shard, IShardLog log);

    /// <summary>It is not any more.</summary>
    void OnServingEnded(ShardId shard);
}
