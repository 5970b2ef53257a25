using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>A copy of a shard whose word counts: this process, on this disk.</summary>
public readonly record struct InSyncReplica(NodeId Node, DiskId Disk, BootId Boot);

/// <summary>Who keeps one shard. Compared as a whole before it is changed, and every change raises the epoch.</summary>
/// <param name="Epoch">The reign; at least 1.</param>
/// <param name="Primary">One of the in-sync nodes.</param>
/// <param name="InSync">All copies that have every committed entry, by node. Never empty: of a shard that is down, those
/// that were in sync last.</param>
/// <param name="Learners">Nodes that are being brought up to date, or will be once they are back, by number.</param>
/// <param name="Enough">Copies in sync without which the primary acknowledges nothing: the pool's minInSync, or fewer if a
/// majority of votes called the others silent, or there never were so many.</param>
/// <param name="IsSignedOver">The primary of the reign before has handed over to this one, and serves no more: nobody need
/// wait for its lease.</param>
/// <param name="Loss">That a person had it begin anew without what was acknowledged; null: nobody ever did.</param>
public sealed record ShardEntry(
    Epoch Epoch,
    NodeId Primary,
    ImmutableArray<InSyncReplica> InSync,
    ImmutableArray<NodeId> Learners,
    int Enough = 1,
    bool IsSignedOver = false,
    ShardLoss? Loss = null)
{
    public bool Equals(ShardEntry? other) =>
        other is not null && Epoch == other.Epoch && Primary == other.Primary
        && InSync.AsSpan().SequenceEqual(other.InSync.AsSpan())
        && Learners.AsSpan().SequenceEqual(other.Learners.AsSpan())
        && Enough == other.Enough && IsSignedOver == other.IsSignedOver && Loss == other.Loss;

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

    /// <summary>How many copies are enough where so many are in sync, or were before.</summary>
    internal static int EnoughOf(int before, int inSync, int minInSync) =>
        Math.Max(Math.Min(before, minInSync), Math.Min(inSync, minInSync));

    /// <summary>The entry of the next reign with the copy among those in sync, instead of the node's earlier one.</summary>
    internal ShardEntry With(InSyncReplica replica, int minInSync)
    {
        ImmutableArray<InSyncReplica> inSync =
        [
            .. InSync.Where(other => other.Node != replica.Node).Append(replica).OrderBy(static other => other.Node.Value),
        ];
        return Next() with
        {
            InSync = inSync,
            Learners = Learners.Remove(replica.Node),
            Enough = EnoughOf(Enough, inSync.Length, minInSync),
        };
    }

    /// <summary>The entry of the next reign without a node.</summary>
    internal ShardEntry Without(NodeId node) => Next() with
    {
        InSync = InSync.RemoveAll(replica => replica.Node == node),
        Learners = Learners.Remove(node),
    };

    /// <summary>The entry of the next reign in which a copy does not count any more, and learns.</summary>
    /// <param name="node">Whose copy.</param>
    /// <param name="byMajority">Whether what is left is enough, however few.</param>
    internal ShardEntry Demoted(NodeId node, bool byMajority)
    {
        ShardEntry without = Without(node);
        return without with
        {
            Learners = Sorted(without.Learners.Append(node)),
            Enough = byMajority ? Math.Min(Enough, without.InSync.Length) : Enough,
        };
    }

    /// <summary>The entry of the next reign with one more learner.</summary>
    internal ShardEntry WithLearner(NodeId node) => Next() with { Learners = Sorted(Learners.Append(node)) };

    /// <summary>The entry of the next reign under another primary, to whom this one has signed it over.</summary>
    internal ShardEntry SignedOverTo(NodeId primary) => Next() with { Primary = primary, IsSignedOver = true };

    /// <summary>The entry of the next reign that one copy begins alone; the others learn.</summary>
    internal ShardEntry LedBy(InSyncReplica leader) => Next() with
    {
        Primary = leader.Node,
        InSync = [leader],
        Learners = Sorted(InSync.Select(static replica => replica.Node).Concat(Learners).Where(node => node != leader.Node)),
    };

    /// <summary>The entry of the next reign that a copy begins alone which lacks what the others had: that one is enough, and who
    /// accepted the loss is on record.</summary>
    /// <param name="leader">Whose copy.</param>
    /// <param name="end">The last entry that it has.</param>
    /// <param name="acceptance">Who accepted it.</param>
    public ShardEntry ForcedTo(InSyncReplica leader, LogPosition end, LossAcceptance acceptance)
    {
        ArgumentNullException.ThrowIfNull(acceptance);
        ShardEntry next = LedBy(leader);
        ImmutableArray<NodeId> gone = [.. InSync.Select(static replica => replica.Node)];
        return next with { Enough = 1, Loss = new(next.Epoch, end, gone, acceptance.AtMs, acceptance.By, acceptance.Why) };
    }

    /// <summary>The entry of the next reign with another number of copies that are enough.</summary>
    internal ShardEntry WithEnough(int enough) => Next() with { Enough = enough };

    private ShardEntry Next() => this with { Epoch = new(Epoch.Value + 1), IsSignedOver = false };

    private static ImmutableArray<NodeId> Sorted(IEnumerable<NodeId> nodes) => [.. nodes.OrderBy(static node => node.Value)];
}
