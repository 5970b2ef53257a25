using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>Where the pool map lives: changes by compare-and-swap of one shard's entry, and is watched. Answers take their time,
/// or do not come.</summary>
internal sealed class SimulatedAuthority(PoolWorld world, ImmutableArray<PoolMember> members, ImmutableArray<Reign> reigns)
{
    /// <summary>Proposals that are on their way, of each shard.</summary>
    private readonly Dictionary<ShardId, int> underWay = [];

    public PoolView View { get; private set; } = new(1, members, reigns);

    public bool IsAway { get; set; }

    public int Changes { get; private set; }

    public bool IsChanging(ShardId shard) => underWay.GetValueOrDefault(shard) > 0;

    public Reign ReignOf(ShardId shard) => View.Reigns.Single(reign => reign.Shard == shard);

    /// <summary>Swaps a shard's entry; null: nobody knows.</summary>
    public void Propose(Reign expected, Reign next, Action<bool?> answer)
    {
        underWay[next.Shard] = underWay.GetValueOrDefault(next.Shard) + 1;
        world.After(world.Between(2, 40), () =>
        {
            underWay[next.Shard]--;
            if (IsAway)
            {
                answer(null);
                return;
            }

            Reign current = ReignOf(next.Shard);
            bool isTaken = current.Equals(next);
            if (!isTaken && (current.Equals(expected) || world.Bug == PoolBug.SwapWithoutCompare))
            {
                View = View with
                {
                    Revision = View.Revision + 1,
                    Reigns = [.. View.Reigns.Select(reign => reign.Shard == next.Shard ? next : reign)],
                };
                Changes++;
                isTaken = true;
                world.OnReign(next);
            }

            bool isLost = world.Random.Next(10) == 0;
            world.After(world.Between(2, 40), () => answer(isLost ? null : isTaken));
        });
    }
}
