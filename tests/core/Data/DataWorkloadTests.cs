namespace KvFs.Core.Tests;

public sealed class DataWorkloadTests
{
    [Fact]
    public void Random_lives_show_what_naive_arrays_show_at_head_in_snapshots_and_in_clones()
    {
        for (int seed = 1; seed <= 12; seed++) { WithSeed(seed, () => Live(seed, quotaBytes: 0)); }
    }

    [Fact]
    public void A_quota_is_met_exactly_and_refused_exactly()
    {
        for (int seed = 101; seed <= 106; seed++) { WithSeed(seed, () => Live(seed, quotaBytes: 60 * 1024)); }
    }

    [Fact]
    public void The_records_are_the_same_with_and_without_a_cache_of_coverage()
    {
        for (int seed = 201; seed <= 204; seed++)
        {
            DataWorkload cached = new(seed, cached: true, quotaBytes: 90 * 1024);
            DataWorkload read = new(seed, cached: false, quotaBytes: 90 * 1024);
            WithSeed(seed, () =>
            {
                cached.Run(120);
                read.Run(120);
                Assert.Equal(read.Records.All, cached.Records.All);
            });
        }
    }

    private static void Live(int seed, ulong quotaBytes)
    {
        DataWorkload workload = new(seed, cached: seed % 2 == 0, quotaBytes);
        workload.Run(150);
        workload.RemoveAll();
    }

    private static void WithSeed(int seed, Action run)
    {
        try { run(); }
        catch (Exception failure) { throw new InvalidOperationException($"Seed {seed}: {failure.Message}", failure); }
    }
}
