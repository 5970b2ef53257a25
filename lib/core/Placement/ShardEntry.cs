using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>A copy of a shard whose word counts: this process, on this disk.</summary>
public readonly record struct InSyncReplica(NodeId Node, DiskId Disk, BootId Boot);

/// <summary>Who keeps one shard. Compared as a whole before it is changed, and every change raises the epoch.</summary>
/// <param name="Epoch">The reign; at least 1.</param>
/// <param name="Primary">One of the in-sync nodes.</param>
/// <param name="InSync">All copies that have every committed entry, by node. Never empty: of a shard that is down, those
/// that were in sync last.</param>
/// <param name="Learners">Nodes that are being brought up to date, by number.</param>
public sealed record ShardEntry(
    Epoch Epoch, NodeId Primary, ImmutableArray<InSyncReplica> InSync, ImmutableArray<NodeId> Learners)
{
    public bool Equals(ShardEntry? other) =>
        other is not null && Epoch == other.Epoch && Primary == other.Primary
        && InSync.AsSpan().SequenceEqual(other.InSync.AsSpan())
        && Learners.AsSpan().SequenceEqual(other.Learners.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Epoch, Primary, InSync.Length, Learners.Length);

    public bool IsInSync(NodeId node) => Find(node) is not null;

    public bool IsLearner(NodeId node) => Learners.Contains(node);

    /// <summary>The in-sync copy on a node, if there is one.</summary>
    public InSyncReplica? Find(NodeId node)
    {
        foreach (InSyncReplica replica in InSync)
        {
            if (replica.Node == node) { return replica; }
        }

        return null;
    }

    /// <summary>The entry of the next reign with the copy among those in sync, instead of the node's earlier
    /// one.</summary>
    internal ShardEntry With(InSyncReplica replica) => this with
    {
        Epoch = Next,
        InSync =
        [
            .. InSync.Where(other => other.Node != replica.Node).Append(replica).OrderBy(static other => other.Node.Value),
        ],
        Learners = Learners.Remove(replica.Node),
    };

    /// <summary>The entry of the next reign without a node.</summary>
    internal ShardEntry Without(NodeId node) => this with
    {
        Epoch = Next,
        InSync = InSync.RemoveAll(replica => replica.Node == node),
        Learners = Learners.Remove(node),
    };

    /// <summary>The entry of the next reign with one more learner.</summary>
    internal ShardEntry WithLearner(NodeId node) => this with
    {
        Epoch = Next,
        Learners = [.. Learners.Append(node).OrderBy(static other => other.Value)],
    };

    /// <summary>The entry of the next reign under another primary.</summary>
    internal ShardEntry Under(NodeId primary) => this with { Epoch = Next, Primary = primary };

    private Epoch Next => new(Epoch.Value + 1);
}
