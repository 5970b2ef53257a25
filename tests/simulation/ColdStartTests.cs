using KvFs.Core;
using KvFs.Simulation.Pool;
using Xunit.Abstractions;

namespace KvFs.Simulation;

/// <summary>Of the last two copies in sync one loses its power, and comes back with less; the other one, which has all that was
/// answered, serves for longer than the wait of a cold start, and is then gone for less than that.</summary>
public sealed class ColdStartTests(ITestOutputHelper output)
{
    private const int Seeds = 24;

    private static readonly ShardId s_shard = new(0);
    private static readonly TimeSpan s_wait = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(50);

    [Fact]
    public void Who_comes_back_with_less_waits_for_the_one_with_all_of_it()
    {
        int kept = 0;
        int shorter = 0;
        for (int seed = 1; seed <= Seeds; seed++)
        {
            try
            {
                (int Kept, bool IsShorter) run = Run(seed, PoolBug.None);
                kept += run.Kept;
                shorter += run.IsShorter ? 1 : 0;
            }
            catch (PoolFailedException failed)
            {
                Assert.Fail($"seed {seed}: {failed.Message}");
            }
        }

        // Else nothing was at stake.
        Assert.True(shorter > Seeds / 2);
        output.WriteLine($"{Seeds} runs, in {shorter} of them the one that came back had less: {kept} answered appends are there");
    }

    [Fact]
    public void A_node_that_does_not_wait_is_found()
    {
        for (int seed = 1; seed <= Seeds; seed++)
        {
            try
            {
                Run(seed, PoolBug.StartColdAtOnce);
            }
            catch (PoolFailedException failed)
            {
                output.WriteLine($"seed {seed}: {failed.Message}");
                return;
            }
        }

        Assert.Fail($"not found in {Seeds} runs");
    }

    private static (int Kept, bool IsShorter) Run(int seed, PoolBug bug)
    {
        PoolWorld world = new(seed, nodes: 3, shards: 1, s_wait, bug);
        foreach (SimulatedNode node in world.Nodes) { node.Start(); }
        foreach (SimulatedClient client in world.Clients) { client.Start(); }
        world.Run(world.Between(2_000, 5_000));
        SimulatedNode primary = world.Nodes[(int)world.Authority.ReignOf(s_shard).Primary.Value - 1];
        SimulatedNode[] others = [.. world.Nodes.Where(node => node != primary)];
        SimulatedNode away = others[seed % 2];
        SimulatedNode shorter = others[(seed + 1) % 2];
        away.Stop(power: false);
        Until(world, "the replica is not dropped", () => !world.Authority.ReignOf(s_shard).Entry.IsInSync(away.Id));
        shorter.SyncDelay = TimeSpan.FromSeconds(20);
        world.Run(world.Now + world.Between(500, 3_000));

        shorter.Stop(power: true);
        shorter.SyncDelay = TimeSpan.FromMilliseconds(5);
        bool isShorter = shorter.Disks[s_shard].Now.Last < primary.Disks[s_shard].Now.Last;

        // It is there, but what it lacks does not come to it: a snapshot takes its time.
        shorter.TakesNothing = true;
        world.Run(world.Now + world.Between(20, 500));
        shorter.Start();
        world.Run(world.Now + s_wait + world.Between(500, 10_000));
        BeGone(world, primary, seed);
        shorter.TakesNothing = false;
        world.Run(world.Now + s_wait + s_wait);
        away.Start();
        Until(world, "not in full health", () => world.Nodes.Any(static node => node.IsHealthy(s_shard)));
        foreach (SimulatedClient client in world.Clients) { client.Stop(); }
        world.Run(world.Now + TimeSpan.FromSeconds(10));
        List<long> values = primary.Disks[s_shard].Now.Values;
        PoolOperation[] operations = [.. world.Clients.SelectMany(static client => client.Operations)];
        if (PoolHistory.Check(operations, values) is { } wrong) { throw new PoolFailedException(wrong); }
        return (operations.Count(static one => one.Value != 0 && one.Ended is not null), isShorter);
    }

    /// <summary>Silent, or over, for less than the wait.</summary>
    private static void BeGone(PoolWorld world, SimulatedNode node, int seed)
    {
        if (seed % 3 == 0)
        {
            node.Pause(world.Between(2_500, 4_000));
            return;
        }

        node.Stop(power: false);
        world.After(seed % 3 == 1 ? world.Between(20, 400) : world.Between(2_500, 4_000), node.Start);
    }

    private static void Until(PoolWorld world, string otherwise, Func<bool> isSo)
    {
        TimeSpan end = world.Now + s_patience;
        while (!isSo())
        {
            if (world.Now >= end) { throw new PoolFailedException($"{otherwise} within {s_patience}: {world.Authority.ReignOf(s_shard)}"); }
            world.Run(world.Now + s_step);
        }
    }
}
