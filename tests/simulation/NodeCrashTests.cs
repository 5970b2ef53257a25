using System.Collections.Concurrent;
using KvFs.Simulation.Nodes;
using Xunit.Abstractions;

namespace KvFs.Simulation;

/// <summary>The whole node: journal, applied records, flushes, sessions, names, data, snapshots, clones, restores, quotas,
/// reaper, packer, repacker and flattener, with a crash at every persistence point.</summary>
public sealed class NodeCrashTests(ITestOutputHelper output)
{
    private const int StepsPerRun = 40;

    /// <summary>Workloads of a normal test.</summary>
    private const int DefaultSeeds = 30;

    /// <summary>Workloads for each seed that KVFS_SEEDS asks for.</summary>
    private const int SeedsForEach = 20;

    /// <summary>Workloads in which a planted bug must show.</summary>
    private const int PlantedSeeds = 60;

    /// <summary>Runs that shrinking a failure may take.</summary>
    private const int MaxShrinks = 200;

    /// <summary>What all workloads together must have done: else they would prove little.</summary>
    private static readonly string[] s_kinds =
    [
        "create", "write", "truncate", "Allocate", "PunchHole", "Zero", "copy", "chmod,", "set", "remove", "link", "rename",
        "unlink", "release", "lock", "sync", "snapshot", "delete", "clone", "restore", "resize", "close", "fold", "folded",
        "repack", "emptied", "transact", "flatten", "flattened", "flush", "reap", "failed disk",
    ];

    [Fact]
    public void Whatever_was_acknowledged_is_there_after_a_crash_at_every_persistence_point()
    {
        Seeds seeds = Seeds.Asked(SeedsForEach, DefaultSeeds);
        long began = TimeProvider.System.GetTimestamp();
        long crashes = 0;
        SortedDictionary<string, long> done = new(StringComparer.Ordinal);
        ConcurrentDictionary<int, CrashFailedException> failures = new();
        Parallel.For(seeds.First, seeds.Last + 1, (number, all) =>
        {
            using NodeSimulation run = new(NodeBug.None);
            if (Run(run, Steps(number)) is { } failure)
            {
                failures[number] = failure;
                all.Break();
            }

            lock (done)
            {
                crashes += run.Crashes;
                foreach ((string what, long times) in run.Done) { done[what] = done.GetValueOrDefault(what) + times; }
            }
        });
        if (!failures.IsEmpty) { Fail(failures.Keys.Min(), failures[failures.Keys.Min()]); }
        double seconds = TimeProvider.System.GetElapsedTime(began).TotalSeconds;
        Seeds.Report(output, $"node: seeds {seeds.First} to {seeds.Last}, {crashes} crashes, {crashes / seconds:f0} a second");
        Seeds.Report(output, $"  {string.Join(", ", done.Select(static kind => $"{kind.Key} {kind.Value}"))}");
        Assert.True(crashes > seeds.Count * 100L);
        Assert.DoesNotContain(s_kinds, kind => done.GetValueOrDefault(kind) == 0);
    }

    [Theory]
    [InlineData("SkipLogSync")]
    [InlineData("AcknowledgeEarly")]
    [InlineData("MarkAhead")]
    [InlineData("TrimUnflushed")]
    [InlineData("FlushApart")]
    [InlineData("ForgetReference")]
    [InlineData("ResurrectName")]
    [InlineData("ReplayTwice")]
    [InlineData("ReplayShort")]
    [InlineData("ForgetReservation")]
    [InlineData("ForgetOrphans")]
    [InlineData("UnloggedIndex")]
    [InlineData("SkipDataSync")]
    [InlineData("ForgetDeadBlocks")]
    [InlineData("SplitTransaction")]
    public void A_planted_bug_of_the_node_is_found_and_shrunk(string name)
    {
        NodeBug bug = Enum.Parse<NodeBug>(name);
        for (int seed = 1; seed <= PlantedSeeds; seed++)
        {
            List<int> steps = Steps(seed);
            if (Run(ref steps, bug) is not { } failure) { continue; }
            List<int> least = Shrink(steps, bug, ref failure);
            output.WriteLine($"{bug}, seed {seed}, {least.Count} steps:\n{Describe(failure)}");
            Assert.True(least.Count <= StepsPerRun / 2);
            return;
        }

        Assert.Fail($"{bug} was not found.");
    }

    private static List<int> Steps(int seed)
    {
        Random chance = new(seed);
        return [.. Enumerable.Range(0, StepsPerRun).Select(_ => chance.Next())];
    }

    /// <summary>Runs a workload; what follows the step that fails is left out of it.</summary>
    private static CrashFailedException? Run(ref List<int> steps, NodeBug bug)
    {
        using NodeSimulation run = new(bug);
        CrashFailedException? failure = Run(run, steps);
        if (failure is not null && run.Begun > 0) { steps = steps[..run.Begun]; }
        return failure;
    }

    private static CrashFailedException? Run(NodeSimulation run, List<int> steps)
    {
        try
        {
            run.Run(steps);
            return null;
        }
        catch (CrashFailedException failure)
        {
            return failure;
        }
    }

    /// <summary>The fewest steps that still fail: leaves out ever smaller pieces for as long as one can be.</summary>
    private static List<int> Shrink(List<int> steps, NodeBug bug, ref CrashFailedException failure)
    {
        int runs = 0;
        for (int piece = steps.Count / 2; piece > 0; piece /= 2)
        {
            for (int start = 0; start < steps.Count && runs < MaxShrinks; runs++)
            {
                List<int> fewer = [.. steps.Take(start), .. steps.Skip(start + piece)];
                if (Run(ref fewer, bug) is { } still)
                {
                    steps = fewer;
                    failure = still;
                }
                else
                {
                    start += piece;
                }
            }
        }

        return steps;
    }

    private static void Fail(int seed, CrashFailedException failure)
    {
        List<int> least = Shrink(Steps(seed), NodeBug.None, ref failure);
        Assert.Fail($"KVFS_SEED={seed}, {least.Count} steps of {StepsPerRun}:\n{Describe(failure)}");
    }

    private static string Describe(CrashFailedException failure) =>
        $"{failure.Message}\n{failure.InnerException?.GetType().Name}: {failure.InnerException?.Message}";
}
