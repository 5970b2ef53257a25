using KvFs.Simulation.Storage;
using Xunit.Abstractions;

namespace KvFs.Simulation;

public sealed class BlockStoreCrashTests(ITestOutputHelper output)
{
    private const int StepsPerRun = 14;

    /// <summary>Runs of a normal test; the environment's KVFS_SEEDS asks for more.</summary>
    private const int DefaultSeeds = 1000;

    [Fact]
    public void Every_acknowledged_block_survives_a_crash_at_every_persistence_point()
    {
        Seeds seeds = Seeds.Asked(ofEach: 20, DefaultSeeds);
        long crashes = 0;
        for (int seed = seeds.First; seed <= seeds.Last; seed++)
        {
            crashes += RunSeed(seed, PlantedBug.None);
        }

        Seeds.Report(output, $"store: seeds {seeds.First} to {seeds.Last}, {crashes} crashes");
        Assert.True(crashes > seeds.Count * 10L);
    }

    [Theory]
    [InlineData("SkipDataSync")]
    [InlineData("AcknowledgeEarly")]
    [InlineData("ReuseTooSoon")]
    [InlineData("SkipDirectorySync")]
    [InlineData("UnloggedIndex")]
    [InlineData("ForgetGeneration")]
    public void A_planted_bug_is_found_within_a_hundred_seeds(string name)
    {
        PlantedBug bug = Enum.Parse<PlantedBug>(name);
        for (int seed = 1; seed <= 100; seed++)
        {
            try
            {
                RunSeed(seed, bug);
            }
            catch (RunFailedException found)
            {
                output.WriteLine($"{bug}: {found.Message} {found.InnerException?.Message}");
                return;
            }
        }

        Assert.Fail($"{bug} was not found.");
    }

    private static int RunSeed(int seed, PlantedBug bug)
    {
        try
        {
            using StoreSimulation run = new(seed, new Faults(bug));
            run.Run(StepsPerRun);
            return run.Crashes;
        }
        catch (Exception failure)
        {
            throw new RunFailedException($"KVFS_SEED={seed}", failure);
        }
    }

    private sealed class RunFailedException(string message, Exception failure) : Exception(message, failure);
}
