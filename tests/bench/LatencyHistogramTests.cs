namespace KvFs.Bench.Tests;

public sealed class LatencyHistogramTests
{
    /// <summary>Times fall into buckets that are a thirty-second of them wide.</summary>
    private const double Error = 1.0 / 32;

    [Fact]
    public void One_that_has_nothing_says_zero() => Assert.Equal(0, new LatencyHistogram().Microseconds(0.5));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(999)]
    [InlineData(1_000_000)]
    [InlineData(long.MaxValue)]
    public void A_single_time_is_every_quantile(long nanoseconds)
    {
        LatencyHistogram histogram = new();
        histogram.Add(nanoseconds);
        Assert.All([0.001, 0.5, 1.0], part => Assert.Equal(nanoseconds / 1e3, histogram.Microseconds(part)));
        Assert.Equal(nanoseconds, histogram.MaxNanoseconds);
    }

    [Fact]
    public void Quantiles_are_those_of_the_sorted_times()
    {
        Random random = new(7);
        LatencyHistogram histogram = new();
        List<long> all = [];
        for (int number = 0; number < 10_000; number++)
        {
            long nanoseconds = (long)Math.Exp(random.NextDouble() * 25);
            all.Add(nanoseconds);
            histogram.Add(nanoseconds);
        }

        all.Sort();
        foreach (double part in (double[])[0.01, 0.5, 0.9, 0.99, 0.999, 1])
        {
            double exact = all[(int)Math.Ceiling(part * all.Count) - 1] / 1e3;
            Assert.InRange(histogram.Microseconds(part), exact, (exact * (1 + Error)) + 0.001);
        }
    }

    [Fact]
    public void What_workers_saw_adds_up()
    {
        LatencyHistogram quick = new();
        LatencyHistogram slow = new();
        for (int number = 0; number < 99; number++) { quick.Add(1_000); }
        slow.Add(1_000_000);
        quick.Add(slow);
        Assert.Equal(100, quick.Count);
        Assert.InRange(quick.Microseconds(0.99), 1, 1 + Error);
        Assert.Equal(1_000, quick.Microseconds(1));
        Assert.Equal(1_000_000, quick.MaxNanoseconds);
    }

    [Fact]
    public void A_time_before_its_beginning_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new LatencyHistogram().Add(-1));
}
