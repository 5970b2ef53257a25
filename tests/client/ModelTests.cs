using FsCheck;
using FsCheck.Fluent;

namespace KvFs.Client.Tests;

public sealed class ModelTests
{
    [Fact]
    public void Files_are_what_a_plain_array_would_be_through_flushes_failures_and_crashes()
    {
        Prop.ForAll<int>(seed => Life(seed, steps: 60)).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_long_life_of_a_few_files_ends_well(int seed)
    {
        await using ModelWorkload workload = new(seed);
        await workload.Run(steps: 1500);
    }

    [Fact]
    public async Task A_sync_that_does_nothing_is_found()
    {
        await Assert.ThrowsAnyAsync<Exception>(() => Lives(session => session.ForgetsSyncs = true));
    }

    [Fact]
    public async Task A_commit_that_says_it_is_durable_and_is_not_is_found()
    {
        await Assert.ThrowsAnyAsync<Exception>(() => Lives(session => session.ForgetsSyncs = session.SyncsWithCommits));
    }

    [Fact]
    public async Task A_commit_that_loses_a_run_is_found()
    {
        await Assert.ThrowsAnyAsync<Exception>(() => Lives(session => session.LosesRuns = true));
    }

    private static async Task Lives(Action<MemorySession> plant)
    {
        for (int seed = 1; seed <= 10; seed++)
        {
            await using ModelWorkload workload = new(seed, plant);
            await workload.Run(steps: 200);
        }
    }

    private static bool Life(int seed, int steps)
    {
        Task life = Task.Run(async () =>
        {
            await using ModelWorkload workload = new(seed);
            await workload.Run(steps);
        });
        life.WaitAsync(CancellationToken.None).GetAwaiter().GetResult();
        return true;
    }
}
