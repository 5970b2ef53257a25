using System.Globalization;
using Xunit.Abstractions;

namespace KvFs.Core.Tests;

public sealed class PlacementPropertyTests(ITestOutputHelper output)
{
    /// <summary>Runs of a normal test; the environment's KVFS_SEEDS asks for more.</summary>
    private static readonly int Seeds =
        int.TryParse(Environment.GetEnvironmentVariable("KVFS_SEEDS"), CultureInfo.InvariantCulture, out int asked)
            ? Math.Max(asked, 200)
            : 200;

    /// <summary>Far more than any of these pools needs, and far less than going back and forth would take.</summary>
    private const int Rounds = 2000;

    [Fact]
    public void From_any_valid_map_the_wanted_placement_is_reached_each_copy_is_made_once_and_it_stays()
    {
        int made = 0;
        int handed = 0;
        ForEachSeed(seed =>
        {
            PlacementRun run = Start(seed);
            PoolMap before = run.Map;
            HashRing ring = before.Ring();
            int missing = before.ShardIds.Sum(shard => ring.Replicas(shard, before.Settings.Replicas)
                .Count(node => !before[shard].IsInSync(node) && !before[shard].IsLearner(node)));
            int useless = before.ShardIds.Sum(shard => before[shard].Learners
                .Count(node => !ring.Replicas(shard, before.Settings.Replicas).Contains(node)));
            run.Settle(Rounds);
            run.CheckPlaced();
            Assert.Empty(run.Plan());
            Assert.Equal(missing, run.Done.GetValueOrDefault(PlacementStepKind.AddLearner));
            Assert.Equal(useless, run.Done.GetValueOrDefault(PlacementStepKind.DropLearner));
            int moved = run.Done.GetValueOrDefault(PlacementStepKind.MovePrimary);
            Assert.InRange(moved, 0, 3 * before.Shards.Length);
            made += missing;
            handed += moved;
        });
        output.WriteLine($"{Seeds} maps, {made} copies made, {handed} primacies moved");
    }

    [Fact]
    public void Steps_in_any_order_with_nodes_dying_and_operators_at_work_lose_nothing_and_end_where_the_ring_wants()
    {
        int made = 0;
        ForEachSeed(seed =>
        {
            PlacementRun run = Start(seed);
            Random random = new(seed);
            for (int step = 0; step < 120; step++)
            {
                run.Advance();
                if (random.Next(3) == 0) { run.Disturb(); }
            }

            run.Heal();
            run.Settle(Rounds);
            run.CheckPlaced();
            made += run.Done.GetValueOrDefault(PlacementStepKind.AddLearner);
        });
        output.WriteLine($"{Seeds} runs, {made} copies made");
    }

    [Fact]
    public void A_step_that_drops_a_copy_too_early_is_found_by_these_checks()
    {
        PlacementRun run = new(Pools.Found(4), PlacementLimits.Default, seed: 1);
        ShardEntry entry = run.Map[new(3)];
        NodeId follower = entry.InSync.Select(static copy => copy.Node).First(node => node != entry.Primary);
        PlacementStep planted = new(new(3), PlacementStepKind.DropSurplus, follower);
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => run.Take(planted, run.Carry(planted).Map!));
    }

    private static PlacementRun Start(int seed)
    {
        Random random = new(seed);
        return new(Pools.Draw(random), new(random.Next(1, 9), random.Next(1, 4), random.Next(1, 5)), seed);
    }

    private static void ForEachSeed(Action<int> run)
    {
        for (int seed = 1; seed <= Seeds; seed++)
        {
            try
            {
                run(seed);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
            }
        }
    }
}
