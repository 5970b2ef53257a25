using KvFs.Bench.Rows;

namespace KvFs.Bench.Tests;

public sealed class ClosedLoopTests
{
    private static readonly BenchOptions s_brief = new()
    {
        Servers = [],
        Certificates = null,
        Pool = null,
        Processes = [],
        Rows = [],
        Warm = TimeSpan.FromMilliseconds(1),
        Time = TimeSpan.FromMilliseconds(500),
        Drives = 1,
        Concurrency = 1,
        Batch = 1,
        Files = 1,
        GrowTo = 1,
        GrowBytes = sizeof(long),
    };

    [Fact]
    public async Task A_worker_that_fails_ends_the_run_with_its_failure()
    {
        BenchOptions endless = s_brief with { Time = TimeSpan.FromHours(1) };
        BenchException failure = await Assert.ThrowsAsync<BenchException>(() => ClosedLoop.RunAsync(
            [YieldAsync, () => throw new BenchException(BenchException.Failed, "planted")], endless, new([])));
        Assert.Equal("planted", failure.Message);
    }

    [Fact]
    public async Task What_is_answered_for_one_request_counts_as_so_many_operations()
    {
        LoopResult result = await ClosedLoop.RunAsync([YieldAsync, YieldAsync], s_brief, new([]));
        Assert.True(result.Latencies.Count > 0);
        Assert.Equal(3 * result.Latencies.Count, result.Operations);
    }

    [Fact]
    public void Bytes_of_another_file_are_found()
    {
        BenchFiles.Check(BenchFiles.Content(5), 5);
        Assert.Throws<BenchException>(() => BenchFiles.Check(BenchFiles.Content(6), 5));
    }

    private static async ValueTask<int> YieldAsync()
    {
        await Task.Yield();
        return 3;
    }
}
