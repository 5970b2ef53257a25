using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Replication;

/// <summary>The other copies of a shard, as its primary sees them.</summary>
/// <param name="Epoch">Its reign.</param>
/// <param name="Others">All that are to be brought what is written, as the processes that they are.</param>
/// <param name="Counted">Those without which nothing may be acknowledged.</param>
/// <param name="IsEnough">They are so many that anything may be.</param>
/// <param name="IsOneToSpare">They would be without one of them.</param>
internal sealed record ShardCopies(
    Epoch Epoch, IReadOnlyList<InSyncReplica> Others, IReadOnlyList<InSyncReplica> Counted, bool IsEnough, bool IsOneToSpare);

/// <summary>What the keepers of blocks must know of shards, and what the shards must know of blocks.</summary>
/// <remarks>A copy counts once it has the log <em>and</em> the blocks. It has the blocks when it has fetched all of a list that it
/// was given, and got all that were written since the list began: each that it did not get makes that list worthless. One that has
/// not begun a list since is brought nothing: what is written meanwhile will be in its list.</remarks>
public sealed partial class ReplicationDriver
{
    private readonly Dictionary<(ShardId Shard, NodeId Node), CopyBlocks> copies = [];

    // Not a Lock: threads wait for pulses of it.
    private readonly object viewed = new();

    /// <summary>Waits until the pool map is another one, or for so long.</summary>
    internal void AwaitView(TimeSpan atMost)
    {
        using RequestThreads.Place place = RequestThreads.Leave();
        lock (viewed) { Monitor.Wait(viewed, atMost); }
    }

    /// <summary>The other copies of a shard; null: this node is not its primary.</summary>
    internal ShardCopies? CopiesOf(ShardId shard)
    {
        lock (gate)
        {
            if (hasFailed || Find(shard)?.Core is not { IsPrimary: true, Reign: { } reign } primary) { return null; }
            IReadOnlyList<InSyncReplica> counted = primary.CountedOthers!;
            List<InSyncReplica> others = [.. counted];
            foreach (NodeId member in reign.Members)
            {
                if (member == Process.Node || others.Any(other => other.Node == member) || !IsBrought(shard, member)) { continue; }
                others.Add(core.Peers.ReplicaOf(member));
            }

            return new(reign.Epoch, others, counted, reign.InSync.Length >= reign.Enough, reign.InSync.Length > core.MinInSync);
        }
    }

    /// <summary>The other nodes that may have a shard's blocks: first its primary, then those that count, then those that do not yet.
    /// </summary>
    internal IReadOnlyList<NodeId> HoldersOf(ShardId shard)
    {
        lock (gate)
        {
            if (ReignOf(shard) is not { } reign) { return []; }
            return [.. reign.Members.Where(node => node != Process.Node).OrderBy(node => node == reign.Primary ? 0 : 1)];
        }
    }

    /// <summary>Whether this node is primary of a shard.</summary>
    internal bool Leads(ShardId shard)
    {
        lock (gate) { return !hasFailed && Find(shard)?.Core.IsPrimary == true; }
    }

    /// <summary>Whether this node is primary of a shard and may serve it: its lease holds, and there are copies enough.</summary>
    internal bool CanKeep(ShardId shard)
    {
        lock (gate) { return !hasFailed && Find(shard)?.Core.CanServe(SuspendClock.Now) == true; }
    }

    /// <summary>The primary of any shard, by the newest map that is known here; null: none is.</summary>
    internal NodeId? PrimaryOf(ShardId shard)
    {
        lock (gate) { return hasFailed ? null : ReignOf(shard)?.Primary; }
    }

    /// <summary>Whether this node has a copy of a shard, or is to get one.</summary>
    internal bool IsMemberOf(ShardId shard)
    {
        lock (gate) { return ReignOf(shard)?.Members.Contains(Process.Node) == true; }
    }

    /// <summary>The nodes of a shard's copies that count, this one included.</summary>
    internal IReadOnlyList<NodeId> InSyncOf(ShardId shard)
    {
        lock (gate) { return ReignOf(shard) is { } reign ? [.. reign.InSync.Select(static replica => replica.Node)] : []; }
    }

    /// <summary>All other nodes of the pool.</summary>
    internal IReadOnlyList<NodeId> Others()
    {
        lock (gate) { return [.. core.View.Members.Select(static member => member.Node).Where(node => node != Process.Node)]; }
    }

    /// <summary>The reign of this node as primary of a shard; null: it is not.</summary>
    internal Epoch? ReignHere(ShardId shard)
    {
        lock (gate) { return !hasFailed && Find(shard)?.Core is { IsPrimary: true, Reign: { } reign } ? reign.Epoch : null; }
    }

    /// <summary>Whether a reign of any shard is not known to be over.</summary>
    internal bool IsCurrent(ShardId shard, Epoch epoch)
    {
        lock (gate) { return !hasFailed && ReignOf(shard) is { } reign && reign.Epoch <= epoch; }
    }

    /// <summary>Whether it is worth waiting until a copy has a block: it counts, or is about to, and is there.</summary>
    internal bool IsWaitedFor(ShardId shard, InSyncReplica copy)
    {
        lock (gate)
        {
            if (hasFailed || Find(shard)?.Core is not { IsPrimary: true } primary) { return false; }
            return primary.CountedOthers!.Contains(copy)
                || (IsBrought(shard, copy.Node) && !core.Peers.IsSilent(copy.Node, SuspendClock.Now));
        }
    }

    /// <summary>A copy was not given a block.</summary>
    /// <returns>True: it does not count now, and will not before it has all blocks again. False: it counts.</returns>
    internal bool OnBlockMissed(ShardId shard, InSyncReplica copy)
    {
        lock (gate)
        {
            if (Find(shard)?.Core.CountedOthers is { } counted && counted.Contains(copy)) { return false; }
            Forget((shard, copy.Node));
            return true;
        }
    }

    /// <summary>Whoever has no part in a shard is not told of its blocks, and whoever counts no longer may be gone: before it counts
    /// again, it says anew that it has all.</summary>
    private void ForgetStrangers(PoolView view)
    {
        foreach ((ShardId Shard, NodeId Node) key in copies.Keys.ToArray())
        {
            Reign next = view.Reigns[key.Shard.Value];
            bool counted = core.View.Reigns.Length > key.Shard.Value && core.View.Reigns[key.Shard.Value].Entry.IsInSync(key.Node);
            if (next.Members.Contains(key.Node) && (next.Entry.IsInSync(key.Node) || !counted)) { continue; }
            Forget(key);
        }
    }

    /// <summary>A copy is about to be told which blocks there are.</summary>
    /// <returns>What names the list; null: this node is not the primary.</returns>
    internal ulong? BeginList(ShardId shard, NodeId node)
    {
        lock (gate)
        {
            // Not only one that serves: it may need this copy before it can.
            if (hasFailed || Find(shard)?.Core is not { IsPrimary: true, Reign: { } reign } || !reign.Members.Contains(node)) { return null; }
            CopyBlocks known = copies.GetValueOrDefault((shard, node));
            copies[(shard, node)] = known with { IsBrought = true };
            return TokenOf(shard, known.Misses);
        }
    }

    /// <summary>A copy has all blocks of a list.</summary>
    /// <returns>Ok; Busy: it missed some since the list began; StaleEpoch.</returns>
    internal Status OnBlocksComplete(ShardId shard, NodeId node, BootId boot, ulong token)
    {
        lock (gate)
        {
            if (hasFailed || Find(shard)?.Core is not { IsPrimary: true, Reign: { } reign } || !reign.Members.Contains(node)) { return Status.StaleEpoch; }
            CopyBlocks known = copies.GetValueOrDefault((shard, node));
            if (token != TokenOf(shard, known.Misses)) { return Status.Busy; }
            copies[(shard, node)] = known with { HasBlocks = boot };
            return Status.Ok;
        }
    }

    /// <summary>Blocks cannot be kept here any more.</summary>
    internal void OnBlocksFailed()
    {
        lock (gate) { Fail("a disk that takes no blocks any more"); }
    }

    /// <summary>Whether this node keeps blocks of a shard for a primary of a reign.</summary>
    internal bool MayCopy(ShardId shard, Epoch epoch)
    {
        lock (gate)
        {
            return !hasFailed && !forgetting.Contains(shard) && Find(shard)?.Core.Reign is { } reign && reign.Epoch <= epoch && !IsLed(shard);
        }
    }

    /// <summary>Shards of which this node has a copy, by number, and the last entry of each.</summary>
    internal IReadOnlyList<(ShardId Shard, LogPosition Last)> CopiesHere()
    {
        lock (gate)
        {
            if (hasFailed) { return []; }
            return
            [
                .. replicas.Where(one => ReignOf(one.Key)?.Members.Contains(Process.Node) == true)
                    .Select(static one => (one.Key, one.Value.Core.Last)),
            ];
        }
    }

    /// <summary>Shards of which this node has a copy that does not count, and who leads them.</summary>
    internal IReadOnlyList<(ShardId Shard, NodeId Primary)> CopiesThatDoNotCount()
    {
        lock (gate)
        {
            if (hasFailed) { return []; }
            List<(ShardId, NodeId)> found = [];
            foreach ((ShardId shard, HostedReplica replica) in replicas)
            {
                if (replica.Core.Reign is not { } reign || reign.Primary == Process.Node || !reign.Members.Contains(Process.Node)) { continue; }
                if (!reign.Has(Process.Node, Process.Boot) && !forgetting.Contains(shard)) { found.Add((shard, reign.Primary)); }
            }

            return found;
        }
    }

    /// <summary>Of any shard, whether or not this node has a copy of it.</summary>
    private Reign? ReignOf(ShardId shard) => shard.Value < core.View.Reigns.Length ? core.View.Reigns[shard.Value] : null;

    private bool IsLed(ShardId shard) => replicas[shard].Core.IsPrimary;

    private bool HasBlocks(ShardId shard, InSyncReplica copy) =>
        copies.TryGetValue((shard, copy.Node), out CopyBlocks known) && known.HasBlocks == copy.Boot;

    private bool IsBrought(ShardId shard, NodeId node) => copies.GetValueOrDefault((shard, node)).IsBrought;

    /// <summary>What a copy has says nothing any more: it is to begin a new list.</summary>
    private void Forget((ShardId Shard, NodeId Node) copy) =>
        copies[copy] = new(copies.GetValueOrDefault(copy).Misses + 1, IsBrought: false, HasBlocks: default);

    /// <summary>What a copy had under another primary, or in an earlier term of this one, says nothing.</summary>
    private void ForgetCopies(ShardId shard)
    {
        foreach ((ShardId Shard, NodeId Node) key in copies.Keys.Where(key => key.Shard == shard).ToArray())
        {
            Forget(key);
        }
    }

    /// <summary>Never 0, and another one in each term and process.</summary>
    private ulong TokenOf(ShardId shard, ulong misses) => ((replicas[shard].Term + 1) << 40) ^ (ulong)options.Process.Boot.Value ^ misses;

    /// <summary>What is known of a copy's blocks.</summary>
    /// <param name="Misses">How often a list became worthless.</param>
    /// <param name="IsBrought">It began a list since: what is written is brought to it.</param>
    /// <param name="HasBlocks">The process that has all of that list.</param>
    private readonly record struct CopyBlocks(ulong Misses, bool IsBrought, BootId HasBlocks);
}
