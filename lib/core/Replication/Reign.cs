using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>What the pool map says of one shard: who is its primary, and who must have what it acknowledges.</summary>
/// <remarks>Immutable. Each change raises the epoch by one and compares the whole. Source: docs/design.md, section 7.</remarks>
/// <param name="Shard">Which shard.</param>
/// <param name="Entry">Its entry in the map.</param>
public sealed record Reign(ShardId Shard, ShardEntry Entry)
{
    public Epoch Epoch => Entry.Epoch;

    /// <summary>One of <see cref="InSync"/>.</summary>
    public NodeId Primary => Entry.Primary;

    public ImmutableArray<InSyncReplica> InSync => Entry.InSync;

    /// <summary>Nodes that are to become in sync, ascending.</summary>
    public ImmutableArray<NodeId> Learners => Entry.Learners;

    /// <summary>Copies without which nothing is acknowledged.</summary>
    public int Enough => Entry.Enough;

    /// <summary>The nodes that get this shard's log: in sync, then learners.</summary>
    public IEnumerable<NodeId> Members => InSync.Select(static replica => replica.Node).Concat(Learners);

    /// <summary>The listed start of a node; none: it is not in sync.</summary>
    public BootId BootOf(NodeId node) => Replica(node).Boot;

    /// <summary>A listed replica; none of that node: the default.</summary>
    public InSyncReplica Replica(NodeId node) => Entry.Find(node) ?? default;

    public bool Has(NodeId node, BootId boot) => boot.Value != 0 && BootOf(node) == boot;

    /// <summary>How many in-sync replicas come before a node when the primary is gone: 0 is the next one; -1: it is none.
    /// </summary>
    public int RankOf(NodeId node, Func<InSyncReplica, bool> isGone)
    {
        ArgumentNullException.ThrowIfNull(isGone);
        int primary = InSync.IndexOf(Replica(Primary));
        int rank = 0;
        for (int step = 1; step < InSync.Length; step++)
        {
            InSyncReplica candidate = InSync[(primary + step) % InSync.Length];
            if (candidate.Node == node) { return rank; }
            if (!isGone(candidate)) { rank++; }
        }

        return -1;
    }

    /// <summary>The reign after a node is gone, with another primary if it was that.</summary>
    /// <param name="node">Who is gone, and learns once it is back.</param>
    /// <param name="primary">Who is the primary then.</param>
    /// <param name="byMajority">Whether a majority calls it silent: what is left is enough, however few.</param>
    public Reign Without(NodeId node, NodeId primary, bool byMajority) =>
        this with { Entry = Entry.Demoted(node, byMajority) with { Primary = primary } };

    /// <summary>The reign after a node has all of the log, as the process that it is now.</summary>
    public Reign With(InSyncReplica replica, int minInSync) => this with { Entry = Entry.With(replica, minInSync) };

    /// <summary>The reign in which a node begins to learn the shard.</summary>
    public Reign WithLearner(NodeId node) => this with { Entry = Entry.WithLearner(node) };

    /// <summary>The reign in which a node that is not the primary has no part any more.</summary>
    public Reign WithoutPartOf(NodeId node)
    {
        Invariant.Check(node != Primary);
        return this with { Entry = Entry.Without(node) };
    }

    /// <summary>The reign of another in-sync replica, to whom the primary signs the shard over.</summary>
    public Reign SignedOverTo(NodeId primary) => this with { Entry = Entry.SignedOverTo(primary) };

    /// <summary>The reign that begins after nobody of the last one was left: one of its disks has it all.</summary>
    public Reign ColdStart(InSyncReplica primary) => this with { Entry = Entry.LedBy(primary) };

    public override string ToString() =>
        $"shard {Shard} epoch {Epoch} primary {Primary} in sync [{string.Join(' ', InSync.Select(static one => $"{one.Node}/{one.Boot.Value >> 64}"))}] "
        + $"learners [{string.Join(' ', Learners)}] enough {Enough}{(Entry.IsSignedOver ? " signed over" : "")}";
}
