using KvFs.Simulation.Storage;
using Xunit.Abstractions;

namespace KvFs.Simulation;

public sealed class JournalCrashTests(ITestOutputHelper output)
{
    private const int StepsPerRun = 60;

    /// <summary>Runs of a normal test; the environment's KVFS_SEEDS asks for more.</summary>
    private const int DefaultSeeds = 150;

    [Fact]
    public void A_crash_at_any_point_leaves_a_prefix_with_all_that_was_synced_and_rot_is_refused()
    {
        Seeds seeds = Seeds.Asked(ofEach: 5, DefaultSeeds);
        long crashes = 0;
        long refused = 0;
        long passed = 0;
        for (int seed = seeds.First; seed <= seeds.Last; seed++)
        {
            using JournalSimulation run = RunSeed(seed, JournalBug.None);
            crashes += run.Crashes;
            refused += run.Refused;
            passed += run.Passed;
        }

        Seeds.Report(output, $"journal: seeds {seeds.First} to {seeds.Last}, {crashes} crashes, of flipped bits {refused} refused and {passed} harmless");
        Assert.True(crashes > seeds.Count * 100L);
        Assert.True(refused > seeds.Count);
        Assert.True(passed > seeds.Count);
    }

    [Theory]
    [InlineData("SkipSync")]
    [InlineData("SyncOnlyLast")]
    [InlineData("SkipDirectorySync")]
    [InlineData("MarkAhead")]
    [InlineData("ReuseUnflushed")]
    [InlineData("ForgetJump")]
    [InlineData("SkipWithdrawal")]
    public void A_planted_bug_is_found_within_fifty_seeds(string name)
    {
        JournalBug bug = Enum.Parse<JournalBug>(name);
        for (int seed = 1; seed <= 50; seed++)
        {
            try
            {
                RunSeed(seed, bug).Dispose();
            }
            catch (RunFailedException found)
            {
                output.WriteLine($"{bug}: {found.Message} {found.InnerException?.Message}");
                return;
            }
        }

        Assert.Fail($"{bug} was not found.");
    }

    private static JournalSimulation RunSeed(int seed, JournalBug bug)
    {
        JournalSimulation? run = null;
        try
        {
            run = new(seed, bug);
            run.Run(StepsPerRun);
            return run;
        }
        catch (Exception failure)
        {
            throw new RunFailedException($"KVFS_SEED={seed}", failure);
        }
    }

    private sealed class RunFailedException(string message, Exception failure) : Exception(message, failure);
}
