using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>What the pool map says of one shard: who is its primary, and who must have what it acknowledges.</summary>
/// <remarks>Immutable. Each change raises the epoch by one and compares the whole. Source: docs/design.md, section 7.</remarks>
public sealed record Reign
{
    public required ShardId Shard { get; init; }

    public required Epoch Epoch { get; init; }

    /// <summary>One of <see cref="InSync"/>.</summary>
    public required NodeId Primary { get; init; }

    /// <summary>In the order in which they succeed one another.</summary>
    public required ImmutableArray<InSyncReplica> InSync { get; init; }

    /// <summary>Nodes that are to become in sync, ascending.</summary>
    public ImmutableArray<NodeId> Learners { get; init; } = [];

    /// <summary>Copies without which nothing is acknowledged: the pool's minimum, or fewer if a majority of nodes called the
    /// others silent.</summary>
    public required int Enough { get; init; }

    /// <summary>The primary before signed the shard over to this one: it serves no more.</summary>
    public bool IsSignedOver { get; init; }

    /// <summary>The listed start of a node; none: it is not in sync.</summary>
    public BootId BootOf(NodeId node)
    {
        foreach (InSyncReplica replica in InSync)
        {
            if (replica.Node == node) { return replica.Boot; }
        }

        return default;
    }

    /// <summary>A listed replica; none of that node: the default.</summary>
    public InSyncReplica Replica(NodeId node) => PlaceOf(node) is >= 0 and var place ? InSync[place] : default;

    public bool Has(NodeId node, BootId boot) => boot.Value != 0 && BootOf(node) == boot;

    /// <summary>The nodes that get this shard's log: in sync, then learners.</summary>
    public IEnumerable<NodeId> Members => InSync.Select(static replica => replica.Node).Concat(Learners);

    /// <summary>How many in-sync replicas come before a node when the primary is gone: 0 is the next one; -1: it is none.
    /// </summary>
    public int RankOf(NodeId node, Func<InSyncReplica, bool> isGone)
    {
        ArgumentNullException.ThrowIfNull(isGone);
        int primary = PlaceOf(Primary);
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
    public Reign Without(NodeId node, NodeId primary, int enough) => this with
    {
        Epoch = new(Epoch.Value + 1),
        Primary = primary,
        InSync = InSync.RemoveAll(replica => replica.Node == node),
        Learners = [.. Learners.Where(learner => learner != node).Append(node).Order()],
        Enough = enough,
        IsSignedOver = false,
    };

    /// <summary>The reign after a node has all of the log, as the process that it is now.</summary>
    public Reign With(InSyncReplica replica, int minInSync)
    {
        int place = PlaceOf(replica.Node);
        ImmutableArray<InSyncReplica> inSync = place < 0 ? InSync.Add(replica) : InSync.SetItem(place, replica);
        return this with
        {
            Epoch = new(Epoch.Value + 1),
            InSync = inSync,
            Learners = Learners.Remove(replica.Node),
            Enough = Math.Max(Enough, Math.Min(minInSync, inSync.Length)),
            IsSignedOver = false,
        };
    }

    /// <summary>The reign in which a node begins to learn the shard.</summary>
    public Reign WithLearner(NodeId node) => this with
    {
        Epoch = new(Epoch.Value + 1), Learners = [.. Learners.Append(node).Distinct().Order()], IsSignedOver = false,
    };

    /// <summary>The reign in which a node that is not the primary has no part any more.</summary>
    public Reign WithoutPartOf(NodeId node)
    {
        Invariant.Check(node != Primary);
        return this with
        {
            Epoch = new(Epoch.Value + 1),
            InSync = InSync.RemoveAll(replica => replica.Node == node),
            Learners = Learners.Remove(node),
            IsSignedOver = false,
        };
    }

    /// <summary>The reign of another in-sync replica, to whom the primary signs the shard over.</summary>
    public Reign SignedOverTo(NodeId primary) => this with
    {
        Epoch = new(Epoch.Value + 1), Primary = primary, IsSignedOver = true,
    };

    /// <summary>The reign that begins after nobody of the last one was left: one of its disks has it all.</summary>
    public Reign ColdStart(InSyncReplica primary) => this with
    {
        Epoch = new(Epoch.Value + 1),
        Primary = primary.Node,
        InSync = [primary],
        Learners = [.. Members.Where(node => node != primary.Node).Distinct().Order()],
        IsSignedOver = false,
    };

    public override string ToString() =>
        $"shard {Shard} epoch {Epoch} primary {Primary} in sync [{string.Join(' ', InSync.Select(static one => $"{one.Node}/{one.Boot.Value >> 64}"))}] "
        + $"learners [{string.Join(' ', Learners)}] enough {Enough}{(IsSignedOver ? " signed over" : "")}";

    /// <inheritdoc/>
    public bool Equals(Reign? other) =>
        other is not null && Shard == other.Shard && Epoch == other.Epoch && Primary == other.Primary
        && InSync.AsSpan().SequenceEqual(other.InSync.AsSpan()) && Learners.AsSpan().SequenceEqual(other.Learners.AsSpan())
        && Enough == other.Enough && IsSignedOver == other.IsSignedOver;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Shard, Epoch, Primary, InSync.Length);

    private int PlaceOf(NodeId node)
    {
        for (int at = 0; at < InSync.Length; at++)
        {
            if (InSync[at].Node == node) { return at; }
        }

        return -1;
    }
}
