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
