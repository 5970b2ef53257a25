namespace KvFs.Core;

/// <summary>The other copies of a shard, as its primary sees them.</summary>
/// <param name="Epoch">Its reign.</param>
/// <param name="Others">All that are to be brought what is written, as the processes that they are.</param>
/// <param name="Counted">Those without which nothing may be acknowledged.</param>
/// <param name="IsEnough">They are so many that anything may be.</param>
/// <param name="IsOneToSpare">They would be without one of them.</param>
public sealed record ShardCopies(
    Epoch Epoch, IReadOnlyList<InSyncReplica> Others, IReadOnlyList<InSyncReplica> Counted, bool IsEnough, bool IsOneToSpare);

/// <summary>Which other copies have all blocks of the shards that a node is primary of.</summary>
/// <remarks>A copy counts once it has the log <em>and</em> the blocks. It has the blocks when it has fetched all of a list that it
/// was given, and got all that were written since the list began: each that it did not get makes that list worthless. One that has
/// not begun a list since is brought nothing: what is written meanwhile will be in its list. Pure, not thread safe. Source:
/// docs/design.md, section 7.</remarks>
public sealed class CopiedBlocks(ReplicaNode node)
{
    private readonly SortedDictionary<(ShardId Shard, NodeId Node), Known> copies = [];
    private readonly Dictionary<ShardId, ulong> terms = [];

    /// <summary>The other copies of a shard; null: this node is not its primary.</summary>
    public ShardCopies? CopiesOf(ShardId shard)
    {
        if (node.Find(shard) is not { IsPrimary: true, Reign: { } reign } primary) { return null; }
        IReadOnlyList<InSyncReplica> counted = primary.CountedOthers!;
        List<InSyncReplica> others = [.. counted];
        foreach (NodeId member in reign.Members)
        {
            if (member == node.Process.Node || others.Any(other => other.Node == member) || !IsBrought(shard, member)) { continue; }
            others.Add(node.Peers.ReplicaOf(member));
        }

        return new(reign.Epoch, others, counted, reign.InSync.Length >= reign.Enough, reign.InSync.Length > node.MinInSync);
    }

    /// <summary>Whether it is worth waiting until a copy has a block: it counts, or is about to, and is there.</summary>
    public bool IsWaitedFor(ShardId shard, InSyncReplica copy, TimeSpan now)
    {
        if (node.Find(shard) is not { IsPrimary: true } primary) { return false; }
        return primary.CountedOthers!.Contains(copy) || (IsBrought(shard, copy.Node) && !node.Peers.IsSilent(copy.Node, now));
    }

    /// <summary>A copy was not given a block.</summary>
    /// <returns>True: it does not count now, and will not before it has all blocks again. False: it counts.</returns>
    public bool OnMissed(ShardId shard, InSyncReplica copy)
    {
        if (node.Find(shard)?.CountedOthers is { } counted && counted.Contains(copy)) { return false; }
        Forget((shard, copy.Node));
        return true;
    }

    /// <summary>The node is about to be told of a pool map (<see cref="ReplicaNode.OnView"/>).</summary>
    /// <remarks>Whoever has no part in a shard is not told of its blocks, and whoever counts no longer may be gone: before it counts
    /// again, it says anew that it has all.</remarks>
    public void OnView(PoolView next)
    {
        ArgumentNullException.ThrowIfNull(next);
        foreach ((ShardId Shard, NodeId Node) key in copies.Keys.ToArray())
        {
            Reign reign = next.Reigns[key.Shard.Value];
            bool counted = node.View.Reigns.Length > key.Shard.Value && node.View.Reigns[key.Shard.Value].Entry.IsInSync(key.Node);
            if (reign.Members.Contains(key.Node) && (reign.Entry.IsInSync(key.Node) || !counted)) { continue; }
            Forget(key);
        }
    }

    /// <summary>This node is primary no longer: what a copy had under it says nothing of what it has later.</summary>
    public void OnServingEnded(ShardId shard)
    {
        terms[shard] = terms.GetValueOrDefault(shard) + 1;
        foreach ((ShardId Shard, NodeId Node) key in copies.Keys.Where(key => key.Shard == shard).ToArray()) { Forget(key); }
    }

    /// <summary>A copy is about to be told which blocks there are.</summary>
    /// <returns>What names the list: never 0, and another one in each term and process; null: this node is not the primary.</returns>
    public ulong? BeginList(ShardId shard, NodeId copy)
    {
        // Not only one that serves: it may need this copy before it can.
        if (!IsCopy(shard, copy)) { return null; }
        Known known = copies.GetValueOrDefault((shard, copy));
        copies[(shard, copy)] = known with { IsBrought = true };
        return TokenOf(shard, known.Misses);
    }

    /// <summary>A copy has all blocks of a list.</summary>
    /// <returns>Ok; Busy: it missed some since the list began; StaleEpoch.</returns>
    public Status OnComplete(ShardId shard, NodeId copy, BootId boot, ulong token)
    {
        if (!IsCopy(shard, copy)) { return Status.StaleEpoch; }
        Known known = copies.GetValueOrDefault((shard, copy));
        if (token != TokenOf(shard, known.Misses)) { return Status.Busy; }
        copies[(shard, copy)] = known with { HasBlocks = boot };
        return Status.Ok;
    }

    /// <summary>Whether a copy has all blocks, in the process that it is.</summary>
    public bool HasAll(ShardId shard, InSyncReplica copy) =>
        copies.TryGetValue((shard, copy.Node), out Known known) && known.HasBlocks == copy.Boot;

    private bool IsCopy(ShardId shard, NodeId copy) =>
        node.Find(shard) is { IsPrimary: true, Reign: { } reign } && reign.Members.Contains(copy);

    private bool IsBrought(ShardId shard, NodeId copy) => copies.GetValueOrDefault((shard, copy)).IsBrought;

    /// <summary>What a copy has says nothing any more: it is to begin a new list.</summary>
    private void Forget((ShardId Shard, NodeId Node) copy) =>
        copies[copy] = new(copies.GetValueOrDefault(copy).Misses + 1, IsBrought: false, HasBlocks: default);

    private ulong TokenOf(ShardId shard, ulong misses) =>
        ((terms.GetValueOrDefault(shard) + 1) << 40) ^ (ulong)node.Process.Boot.Value ^ misses;

    /// <summary>What is known of a copy's blocks.</summary>
    /// <param name="Misses">How often a list became worthless.</param>
    /// <param name="IsBrought">It began a list since: what is written is brought to it.</param>
    /// <param name="HasBlocks">The process that has all of that list.</param>
    private readonly record struct Known(ulong Misses, bool IsBrought, BootId HasBlocks);
}
