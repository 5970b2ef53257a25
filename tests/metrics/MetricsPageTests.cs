using System.Diagnostics.Metrics;

namespace KvFs.Metrics.Tests;

public sealed class MetricsPageTests : IDisposable
{
    private readonly TestPage page = new();

    public void Dispose() => page.Dispose();

    [Fact]
    public void A_counter_sums_what_was_added_under_each_set_of_tags()
    {
        Counter<long> reads = page.Meter.CreateCounter<long>("kvfs.node.read", "By", "Bytes read.");
        reads.Add(3, new KeyValuePair<string, object?>("drive", "b"));
        reads.Add(4, new KeyValuePair<string, object?>("drive", "a"));
        reads.Add(5, new KeyValuePair<string, object?>("drive", "b"));

        Assert.Equal(
            """
            # HELP kvfs_node_read_bytes_total Bytes read.
            # TYPE kvfs_node_read_bytes_total counter
            kvfs_node_read_bytes_total{drive="a"} 4
            kvfs_node_read_bytes_total{drive="b"} 8

            """,
            page.Read());
    }

    [Fact]
    public void Tags_in_another_order_are_the_same_series()
    {
        Counter<long> counter = page.Meter.CreateCounter<long>("ops");
        counter.Add(1, new("a", 1), new KeyValuePair<string, object?>("b", 2));
        counter.Add(1, new("b", 2), new KeyValuePair<string, object?>("a", 1));
        Assert.Equal(["""ops_total{a="1",b="2"} 2"""], page.Samples());
    }

    [Fact]
    public void An_up_down_counter_is_a_gauge_of_its_sum_and_a_gauge_shows_its_last_value()
    {
        UpDownCounter<int> open = page.Meter.CreateUpDownCounter<int>("open");
        Gauge<double> heat = page.Meter.CreateGauge<double>("heat");
        open.Add(5);
        open.Add(-2);
        heat.Record(7);
        heat.Record(1.5);
        Assert.Equal(["heat 1.5", "open 3"], page.Samples());
        Assert.Contains("# TYPE open gauge", page.Read(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_histogram_counts_cumulatively_and_a_value_on_a_bound_belongs_to_it()
    {
        Histogram<double> histogram = page.Meter.CreateHistogram(
            "wait", "s", "Waits.", null, new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.1, 1] });
        foreach (double value in (double[])[0.05, 0.1, 0.5, 7, double.NaN]) { histogram.Record(value); }
        Assert.Equal(
            [
                """wait_seconds_bucket{le="0.1"} 2""",
                """wait_seconds_bucket{le="1"} 3""",
                """wait_seconds_bucket{le="+Inf"} 4""",
                "wait_seconds_sum 7.65",
                "wait_seconds_count 4",
            ],
            page.Samples());
    }

    [Fact]
    public void A_series_that_an_observable_no_longer_names_is_gone()
    {
        string[] mounts = ["a", "b"];
        page.Meter.CreateObservableGauge(
            "mounted", () => mounts.Select(name => new Measurement<int>(1, new KeyValuePair<string, object?>("at", name))));
        Assert.Equal(2, page.Samples().Length);
        mounts = ["b"];
        Assert.Equal(["""mounted{at="b"} 1"""], page.Samples());
    }

    [Fact]
    public void A_callback_that_throws_costs_only_its_own_values()
    {
        page.Meter.CreateObservableGauge("bad", (Func<int>)(() => throw new InvalidOperationException("no disk")));
        page.Meter.CreateObservableGauge("good", () => 1);
        Assert.Equal(["good 1"], page.Samples());
        Assert.Equal("no disk", Assert.Single(page.Failures).Message);
    }

    [Fact]
    public void Instruments_that_come_to_one_name_share_it_only_if_they_are_of_one_kind()
    {
        page.Meter.CreateCounter<long>("a.b").Add(1);
        page.Meter.CreateCounter<int>("a_b").Add(2);
        page.Meter.CreateUpDownCounter<int>("c").Add(1);
        page.Meter.CreateHistogram<int>("c").Record(1);
        Assert.Equal(["a_b_total 3", "c 1"], page.Samples());
        Assert.Equal(1, page.Conflicts);
    }

    [Fact]
    public void A_tag_without_end_ends_in_the_overflow_series()
    {
        Counter<long> counter = page.Meter.CreateCounter<long>("ops");
        for (int id = 0; id < 5000; id++) { counter.Add(1, new KeyValuePair<string, object?>("id", id)); }
        string[] samples = page.Samples();
        Assert.Equal(1000, samples.Length);
        Assert.Contains("""ops_total{overflow="true"} 4001""", samples);
    }

    [Fact]
    public void Instruments_of_other_meters_and_of_disposed_ones_are_not_shown()
    {
        using Meter other = new("other");
        other.CreateCounter<long>("theirs").Add(1);
        page.Meter.CreateCounter<long>("ours").Add(1);
        Assert.Equal(["ours_total 1"], page.Samples());
        page.Meter.Dispose();
        Assert.Empty(page.Samples());
    }

    [Fact]
    public void Labels_and_help_are_escaped_and_long_values_cut()
    {
        Counter<long> counter = page.Meter.CreateCounter<long>("ops", null, "a\\b\n\"c\"");
        counter.Add(1, new KeyValuePair<string, object?>("path", "a\\b\"c\nd\ud800"));
        counter.Add(1, new KeyValuePair<string, object?>("path", new string('x', 1000)));
        string text = page.Read();
        Assert.Contains("# HELP ops_total a\\\\b\\n\"c\"\n", text, StringComparison.Ordinal);
        Assert.Contains("{path=\"a\\\\b\\\"c\\nd\ufffd\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("{path=\"" + new string('x', 255) + "…\"} 1\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Recording_under_known_tags_allocates_nothing()
    {
        Counter<long> counter = page.Meter.CreateCounter<long>("ops");
        Histogram<double> histogram = page.Meter.CreateHistogram<double>("wait", "s");
        KeyValuePair<string, object?> drive = new("drive", "main");
        KeyValuePair<string, object?> kind = new("op", "read");
        Record(2);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Record(10_000);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        void Record(int times)
        {
            for (int time = 0; time < times; time++)
            {
                counter.Add(1);
                counter.Add(1, drive, kind);
                histogram.Record(0.001, drive);
            }
        }
    }

    [Fact]
    public void Threads_that_record_at_once_lose_nothing()
    {
        Counter<double> counter = page.Meter.CreateCounter<double>("ops");
        Histogram<int> histogram = page.Meter.CreateHistogram<int>("size");
        Parallel.For(0, 20_000, at =>
        {
            counter.Add(1, new KeyValuePair<string, object?>("slot", at % 7));
            histogram.Record(at % 3);
            if (at % 1000 == 0) { page.Read(); }
        });
        double sum = page.Samples().Where(line => line.StartsWith("ops_total", StringComparison.Ordinal))
            .Sum(line => double.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal(20_000, sum);
        Assert.Contains("size_count 20000", page.Samples());
    }
}
