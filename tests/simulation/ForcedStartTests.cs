using KvFs.Core;
using KvFs.Simulation.Pool;
using Xunit.Abstractions;

namespace KvFs.Simulation;

/// <summary>Two of three copies are lost, a person has the stale one begin anew, and the lost ones come back after all.</summary>
public sealed class ForcedStartTests(ITestOutputHelper output)
{
    private const int Seeds = 24;

    private static readonly ShardId s_shard = new(0);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(50);

    [Fact]
    public void A_stale_copy_begins_anew_and_copies_that_come_back_are_never_trusted()
    {
        int lost = 0;
        int kept = 0;
        for (int seed = 1; seed <= Seeds; seed++)
        {
            try
            {
                (int Lost, int Kept) run = Run(seed);
                lost += run.Lost;
                kept += run.Kept;
            }
            catch (PoolFailedException failed)
            {
                Assert.Fail($"seed {seed}: {failed.Message}");
            }
        }

        // Else nothing was at stake.
        Assert.True(lost > Seeds);
        Assert.True(kept > 10 * Seeds);
        output.WriteLine($"{Seeds} runs: {kept} answered appends are there, {lost} were lost as was accepted");
    }

    [Fact]
    public void While_a_copy_that_was_in_sync_runs_or_is_back_nothing_is_forced()
    {
        PoolWorld world = NewWorld(1);
        SimulatedNode stale = MakeStale(world);
        SimulatedNode[] others = [.. world.Nodes.Where(node => node != stale)];
        others[1].Stop(power: false);
        Until(world, "the last copy does not go on alone", () => world.Authority.ReignOf(s_shard) is { InSync.Length: 1 } || others[0].MayAnswer(s_shard));
        stale.Start();
        world.Run(world.Now + s_step);
        Assert.Equal(Status.NotPermitted, Choose(world, stale, others[0]).Status);

        // Heard by another one, though whoever asks cannot reach it.
        Until(world, "nobody hears the other", () => stale.CopyOf(s_shard).Heard.Contains(others[0].Id));
        Assert.Equal(Status.NotPermitted, Choose(world, stale).Status);
    }

    private static (int Lost, int Kept) Run(int seed)
    {
        PoolWorld world = NewWorld(seed);
        SimulatedNode stale = MakeStale(world);
        SimulatedNode[] gone = [.. world.Nodes.Where(node => node != stale)];
        world.Run(world.Now + world.Between(500, 4_000));
        foreach (SimulatedNode node in gone) { node.Stop(power: seed % 2 == 0); }
        TimeSpan goneAt = world.Now;
        stale.Start();

        // However long it waits, it does not serve by itself.
        world.Run(world.Now + TimeSpan.FromSeconds(20));
        if (stale.MayAnswer(s_shard)) { throw new PoolFailedException("a stale copy serves by itself"); }
        Reign before = world.Authority.ReignOf(s_shard);
        Reign forced = Force(world, before, stale);
        Until(world, "the stale copy does not serve", () => stale.MayAnswer(s_shard));
        world.Run(world.Now + world.Between(500, 3_000));
        bool diesAgain = seed % 3 == 0;
        if (diesAgain) { stale.Stop(power: false); }
        foreach (SimulatedNode node in gone) { node.Start(); }
        if (diesAgain)
        {
            // They were in sync once, and lack what was acknowledged since: they wait for the one that has it.
            Watch(world, TimeSpan.FromSeconds(20), gone, forced);
            if (world.Authority.ReignOf(s_shard).Epoch != forced.Epoch) { throw new PoolFailedException("who came back changed the map"); }
            stale.Start();
        }

        Watch(world, TimeSpan.FromSeconds(5), gone, forced);
        Until(world, "not in full health", () => world.Nodes.Any(static node => node.IsHealthy(s_shard)));
        foreach (SimulatedClient client in world.Clients) { client.Stop(); }
        world.Run(world.Now + TimeSpan.FromSeconds(10));
        return Check(world, forced, goneAt);
    }

    /// <summary>Runs on, and looks that nobody answers who was not taken in anew.</summary>
    private static void Watch(PoolWorld world, TimeSpan time, SimulatedNode[] gone, Reign forced)
    {
        TimeSpan end = world.Now + time;
        while (world.Now < end)
        {
            world.Run(world.Now + s_step);
            Reign now = world.Authority.ReignOf(s_shard);
            if (now.Epoch < forced.Epoch) { throw new PoolFailedException("an epoch went back"); }
            foreach (SimulatedNode node in gone)
            {
                bool isListed = now.Has(node.Id, node.Boot);
                if (node.MayAnswer(s_shard) && !isListed) { throw new PoolFailedException($"node {node.Id} answers, and was not taken in again"); }
                if (now.BootOf(node.Id).Value != 0 && !isListed) { throw new PoolFailedException($"node {node.Id} is listed as a process that is over"); }
            }
        }
    }

    private static (int Lost, int Kept) Check(PoolWorld world, Reign forced, TimeSpan goneAt)
    {
        Reign last = world.Authority.ReignOf(s_shard);
        if (last.Entry.Loss != forced.Entry.Loss) { throw new PoolFailedException("the loss is on record no more"); }
        List<long> values = world.Nodes[0].Disks[s_shard].Now.Values;
        if (world.Nodes.Any(node => !node.Disks[s_shard].Now.Values.SequenceEqual(values))) { throw new PoolFailedException("the copies differ"); }
        HashSet<long> there = [.. values];
        PoolOperation[] operations = [.. world.Clients.SelectMany(static client => client.Operations)];
        PoolOperation[] lost = [.. operations.Where(one => one.Value != 0 && one.Ended is not null && one.Began <= goneAt && !there.Contains(one.Value))];

        // But for what only those had that were gone, and what was read of it, all is as ever.
        PoolOperation[] others = [.. operations.Except(lost).Where(one => one.Value != 0 || one.Began > goneAt)];
        if (PoolHistory.Check(others, values) is { } wrong) { throw new PoolFailedException(wrong); }
        return (lost.Length, operations.Count(one => one.Value != 0 && one.Ended is not null && there.Contains(one.Value)));
    }

    private static Reign Force(PoolWorld world, Reign before, SimulatedNode stale)
    {
        ForcedChoice choice = Choose(world, stale);
        if (choice.Copy is not { } copy) { throw new PoolFailedException($"no copy may begin anew: {choice.Reason}"); }
        Reign forced = before with { Entry = before.Entry.ForcedTo(copy.Process, copy.Last!.Value, new(1, "somebody", "two disks broke")) };
        while (!world.Authority.ReignOf(s_shard).Equals(forced))
        {
            world.Authority.Propose(before, forced, static _ => { });
            world.Run(world.Now + TimeSpan.FromMilliseconds(200));
            if (world.Authority.ReignOf(s_shard) is { } now && !now.Equals(before)) { break; }
        }

        return forced;
    }

    private static ForcedChoice Choose(PoolWorld world, params SimulatedNode[] asked) => ForcedStart.Choose(
        world.Authority.ReignOf(s_shard).Entry,
        world.Authority.View.Members,
        [.. asked.Select(static node => node.CopyOf(s_shard))],
        null,
        static node => $"node {node}");

    private static PoolWorld NewWorld(int seed)
    {
        PoolWorld world = new(seed, nodes: 3, shards: 1, coldStartWait: TimeSpan.FromSeconds(3), PoolBug.None);
        foreach (SimulatedNode node in world.Nodes) { node.Start(); }
        foreach (SimulatedClient client in world.Clients) { client.Start(); }
        world.Run(world.Between(2_000, 5_000));
        return world;
    }

    /// <summary>Stops a replica, and runs on until the others go on without it.</summary>
    private static SimulatedNode MakeStale(PoolWorld world)
    {
        SimulatedNode[] replicas = [.. world.Nodes.Where(node => node.Id != world.Authority.ReignOf(s_shard).Primary)];
        SimulatedNode stale = replicas[world.Random.Next(replicas.Length)];
        stale.Stop(power: false);
        Until(world, "the replica is not dropped", () => !world.Authority.ReignOf(s_shard).Entry.IsInSync(stale.Id));
        return stale;
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
