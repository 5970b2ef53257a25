using System.Collections.Immutable;

namespace KvFs.Core;

// Reigns that nodes want to begin: many at once, because a dead node was primary of many shards.
public static partial class PoolMapChange
{
    /// <summary>Puts the next entries of shards whose entries are still those that their proposers decided by; the others are
    /// left as they are.</summary>
    /// <param name="map">The map to change.</param>
    /// <param name="proposals">For each shard at most one: the entry that it was decided by, and the next one.</param>
    /// <returns>The map; StaleEpoch: no proposal fits it any more.</returns>
    public static MapChange Enact(PoolMap map, IReadOnlyList<(Reign Expected, Reign Next)> proposals)
    {
        ImmutableArray<ShardEntry>.Builder shards = map.Shards.ToBuilder();
        int enacted = 0;
        foreach ((Reign expected, Reign next) in proposals)
        {
            Invariant.Check(expected.Shard == next.Shard && next.Epoch.Value == expected.Epoch.Value + 1);
            if (expected.Shard.Value >= shards.Count || !shards[expected.Shard.Value].Equals(expected.Entry)) { continue; }
            shards[expected.Shard.Value] = next.Entry;
            enacted++;
        }

        return enacted == 0
            ? MapChange.Refuse(Status.StaleEpoch, "the shards have other reigns by now")
            : map.Change(shards.MoveToImmutable());
    }
}
