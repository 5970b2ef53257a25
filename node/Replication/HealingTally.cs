using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Replication;

/// <summary>Counts how far a node is with the copies that it brings up to date: from when it has the first of them to when it has none.</summary>
/// <remarks>Thread safe. Times are of one clock that only goes on.</remarks>
internal sealed class HealingTally
{
    private readonly Lock gate = new();
    private readonly Dictionary<ShardId, BlockFetching> fetching = [];
    private HashSet<ShardId> lacking = [];
    private TimeSpan began;
    private int done;
    private ulong blocks;
    private ulong bytes;

    /// <summary>These copies do not count at this moment.</summary>
    public void Look(IEnumerable<ShardId> shards, TimeSpan now)
    {
        HashSet<ShardId> next = [.. shards];
        lock (gate)
        {
            if (lacking.Count == 0) { (began, done, blocks, bytes) = (now, 0, 0, 0); }
            foreach (ShardId shard in lacking)
            {
                if (next.Contains(shard)) { continue; }
                fetching.Remove(shard);
                done++;
            }

            lacking = next;
        }
    }

    /// <summary>A copy knows what it lacks.</summary>
    public void OnListed(ShardId shard, int missing)
    {
        lock (gate) { fetching[shard] = new((ulong)missing, 0); }
    }

    /// <summary>A block is there, or gone meanwhile.</summary>
    public void OnFetched(ShardId shard, int length)
    {
        lock (gate)
        {
            BlockFetching known = fetching.GetValueOrDefault(shard);
            fetching[shard] = known with { Fetched = Math.Min(known.Missing, known.Fetched + 1) };
            if (length == 0) { return; }
            blocks++;
            bytes += (ulong)length;
        }
    }

    /// <summary>How far it is; null: there is no copy that does not count.</summary>
    public HealingState? Get(TimeSpan now)
    {
        lock (gate) { return lacking.Count == 0 ? null : new(now - began, done, lacking.Count, blocks, bytes); }
    }

    /// <summary>How far one copy is; null: it has not been told what it lacks.</summary>
    public BlockFetching? Find(ShardId shard)
    {
        lock (gate) { return fetching.TryGetValue(shard, out BlockFetching known) ? known : null; }
    }
}
