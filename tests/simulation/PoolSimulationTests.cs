using System.Collections.Concurrent;
using KvFs.Core;
using KvFs.Simulation.Pool;
using Xunit.Abstractions;

namespace KvFs.Simulation;

/// <summary>Pools of three to nine nodes under faults: replication, leases, takeovers, cold starts, learners.</summary>
public sealed class PoolSimulationTests(ITestOutputHelper output)
{
    private const int DefaultSeeds = 135;

    /// <summary>Runs for each seed that KVFS_SEEDS asks for.</summary>
    private const int SeedsForEach = 20;

    /// <summary>Runs in which a planted bug must show.</summary>
    private const int PlantedSeeds = 2000;

    /// <summary>What all runs together must have reached.</summary>
    private static readonly string[] s_rare =
    [
        "answer of another primary repeated", "answer repeated", "append conflict", "append unknown", "authority away", "authority cut off",
        "block", "block lost", "block mended", "block rots", "block torn", "blocks dropped", "blocks fetched", "client cut off", "clone of a clone", "clone of a snapshot",
        "clone of the present", "copy dropped",
        "decided on what was not committed", "disk full",
        "drive removed", "drive snapshot", "file without a name linked", "file without a name made", "ids reserved", "kill", "learner added", "lock", "locked", "log cut",
        "message lost", "message twice", "names lost", "node cut off", "node gone", "node replaced", "one way cut",
        "open file that others replace read", "open file unlinked", "open file without a name read", "origin deleted before its clone", "pause", "polite stop", "pool split",
        "power cut", "power cut of all", "primary moved", "proposal refused", "proposal taken", "proposal unknown", "quota", "reign served", "reservation refused", "reserved",
        "rolling restart", "session expired", "session goes on", "slow disk", "shard is new", "snapshot", "snapshot installed", "struck amid a snapshot", "stuck disk", "suspend", "synced", "synced too late", "transaction",
        "transaction refused", "unanswered and not done", "unknown blocks dropped",
    ];

    [Fact]
    public void Nothing_that_was_acknowledged_is_lost_and_every_pool_heals()
    {
        Seeds seeds = Seeds.Asked(SeedsForEach, DefaultSeeds);
        long began = TimeProvider.System.GetTimestamp();
        SortedDictionary<string, long> reached = new(StringComparer.Ordinal);
        ConcurrentDictionary<int, Exception> failures = new();
        long events = 0;
        long answered = 0;
        TimeSpan simulated = TimeSpan.Zero;
        Parallel.For(seeds.First, seeds.Last + 1, (number, all) =>
        {
            PoolSimulation run = new(number);
            if (Fails(run) is { } failure)
            {
                failures[number] = failure;
                all.Break();
            }

            lock (reached)
            {
                events += run.World.Events;
                answered += run.Answered;
                simulated += run.World.Now;
                foreach ((string what, int times) in run.World.Reached) { reached[what] = reached.GetValueOrDefault(what) + times; }
            }
        });
        if (!failures.IsEmpty)
        {
            int least = failures.Keys.Min();
            Assert.Fail($"KVFS_SEED={least}: {failures[least]}");
        }

        double seconds = TimeProvider.System.GetElapsedTime(began).TotalSeconds;
        Seeds.Report(output, $"pool: seeds {seeds.First} to {seeds.Last}, {answered} operations answered, {events} events, {events / seconds:f0} a second, {simulated.TotalSeconds / seconds:f0} times as fast as real time");
        Seeds.Report(output, $"  {string.Join(", ", reached.Select(static kind => $"{kind.Key} {kind.Value}"))}");
        Assert.True(answered > seeds.Count * 100L);
        Assert.DoesNotContain(s_rare, kind => reached.GetValueOrDefault(kind) == 0);
    }

    /// <summary>Seeds that failed once: each keeps the shape that the run had then only as long as nobody draws more or less before it.</summary>
    [Theory]
    [InlineData(16, "room that a session had set aside under the primary before was set aside for another one, too")]
    [InlineData(36, "a client stood still at the end, lost its session, and was not given the time to open another one")]
    [InlineData(164, "dead blocks stayed for ever at a copy that was primary whenever copies were compared")]
    [InlineData(700003, "a block that a power cut had left at one copy only was named after a takeover")]
    [InlineData(1000232, "a copy that the primary did not know as one yet told it that it had all blocks, and missed the next one")]
    [InlineData(4000218, "a dead block that had rotted at the only copy left kept it from ever getting others, which it needs to serve")]
    [InlineData(1010010, "a dead block that had rotted kept other copies from ever counting")]
    [InlineData(2017, "a file without a name was removed while who had made it waited for the answer, under the next primary")]
    public void A_seed_that_failed_once_passes(int seed, string found)
    {
        Exception? failure = Fails(new(seed));
        Assert.True(failure is null, $"KVFS_SEED={seed}, which once found that {found}, fails: {failure}");
    }

    [Theory]
    [InlineData(nameof(PoolBug.AcknowledgeUnstored))]
    [InlineData(nameof(PoolBug.KeepBootId))]
    [InlineData(nameof(PoolBug.CutAtStart))]
    [InlineData(nameof(PoolBug.SkipSync))]
    [InlineData(nameof(PoolBug.DurableAlone), true, 39)]
    [InlineData(nameof(PoolBug.IgnoreLease))]
    [InlineData(nameof(PoolBug.SwapWithoutCompare))]
    [InlineData(nameof(PoolBug.KeepTail))]
    [InlineData(nameof(PoolBug.AnswerEarly))]
    [InlineData(nameof(PoolBug.SkipSnapshot))]
    [InlineData(nameof(PoolBug.BelieveHalfSnapshot))]
    [InlineData(nameof(PoolBug.StartColdAtOnce), false, 269)]
    [InlineData(nameof(PoolBug.ForgetReigns))]
    [InlineData(nameof(PoolBug.StopClockInSuspend))]
    [InlineData(nameof(PoolBug.ForgetRequests))]
    [InlineData(nameof(PoolBug.ReissueIds))]
    [InlineData(nameof(PoolBug.ForgetLocks), false, 24)]
    [InlineData(nameof(PoolBug.DropEarly), true, 283)]
    [InlineData(nameof(PoolBug.TrustGrants), true)]
    [InlineData(nameof(PoolBug.SkipBlocks))]
    [InlineData(nameof(PoolBug.SkipChecksums))]
    [InlineData(nameof(PoolBug.SkipScrub))]
    [InlineData(nameof(PoolBug.DropGranted))]
    [InlineData(nameof(PoolBug.SkipCompare))]
    [InlineData(nameof(PoolBug.AnswerUncommitted))]
    [InlineData(nameof(PoolBug.DecideOnApplied))]
    [InlineData(nameof(PoolBug.IgnoreReserved), false, 34)]
    [InlineData(nameof(PoolBug.CountApplied))]
    [InlineData(nameof(PoolBug.ForgetPins))]
    [InlineData(nameof(PoolBug.ForgetHolds))]
    [InlineData(nameof(PoolBug.ForgetOpening))]
    [InlineData(nameof(PoolBug.KeepOrphans))]
    public void A_planted_bug_is_found(string bug, bool showsWithoutPower = false, int? near = null)
    {
        // Some show only where all may lose their power at once: with every fourth seed. Of those that few seeds show, one that does is
        // where the search begins, for as long as it does: only who asks for many seeds runs all before it each time.
        int step = showsWithoutPower ? 4 : 1;
        int first = (Seeds.AreAsked ? null : near) ?? (showsWithoutPower ? 3 : 1);
        for (int seed = first; seed < first + PlantedSeeds; seed += step)
        {
            if (Fails(new(seed, Enum.Parse<PoolBug>(bug))) is not PoolFailedException failure) { continue; }
            output.WriteLine($"seed {seed}: {failure.Message}");

            // It is the bug that the checks saw, and nothing else.
            Assert.Null(Fails(new(seed)));
            return;
        }

        Assert.Fail($"{bug} was not found in {PlantedSeeds} runs");
    }

    [Fact]
    public void A_run_is_the_same_each_time()
    {
        PoolSimulation first = new(5);
        PoolSimulation second = new(5);
        first.Run();
        second.Run();
        Assert.Equal(first.World.Events, second.World.Events);
        Assert.Equal(first.Answered, second.Answered);
        Assert.Equal(first.World.Reached, second.World.Reached);
    }

    private static Exception? Fails(PoolSimulation run)
    {
        try
        {
            run.Run();
            return null;
        }
#pragma warning disable CA1031 // Whatever a run throws is its failure, to be told with the seed.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return exception;
        }
    }
}
