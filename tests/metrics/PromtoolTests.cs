using System.Buffers;
using System.Diagnostics.Metrics;
using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace KvFs.Metrics.Tests;

/// <summary>What a page looks like to the program that judges such pages.</summary>
public sealed class PromtoolTests
{
    [Fact]
    public async Task Promtool_has_nothing_to_say_about_a_page_with_everything()
    {
        using TestPage page = new();
        page.Meter.CreateCounter<long>("kvfs.reads", "{read}", "Reads.").Add(1, new KeyValuePair<string, object?>("a", "ä\"\\\n"));
        page.Meter.CreateHistogram<double>("kvfs.commit", "s", "Commits.").Record(0.01, new KeyValuePair<string, object?>("a", 1));
        page.Meter.CreateHistogram<long>("kvfs.block", "By", "Blocks.").Record(4096);
        page.Meter.CreateUpDownCounter<int>("kvfs.sessions", null, "Sessions.").Add(2);
        page.Meter.CreateObservableGauge("kvfs.full", () => 0.5, "1", "How full.");
        page.Meter.CreateGauge<double>("kvfs.odd", null, "Odd numbers.").Record(double.NegativeInfinity);
        Assert.Equal(string.Empty, await Promtool.CheckAsync(page.Read()));
    }

    [Fact]
    public async Task Promtool_has_nothing_to_say_about_the_metrics_of_the_process()
    {
        using ProcessMetrics process = new();
        using MetricsPage page = new(meter => meter.Name == ProcessMetrics.MeterName);
        ArrayBufferWriter<byte> output = new();
        Assert.Empty(page.Write(output));
        string text = Encoding.UTF8.GetString(output.WrittenSpan);
        Assert.Equal(string.Empty, await Promtool.CheckAsync(text));
        foreach (string name in (string[])["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"])
        {
            Assert.Contains($"\n{name} ", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Promtool_reads_a_page_whatever_names_tags_and_values_are()
    {
        using TestPage page = new();
        Prop.ForAll<string, string, double>((name, tag, value) =>
        {
            string instrument = string.IsNullOrEmpty(name) ? "x" : name;
            page.Meter.CreateHistogram<double>("h" + instrument, null, tag).Record(value, new KeyValuePair<string, object?>(tag ?? "", tag));
            page.Meter.CreateGauge<double>("g" + instrument, null, tag).Record(value, new KeyValuePair<string, object?>(tag ?? "", name));
        }).QuickCheckThrowOnFailure();
        string said = await Promtool.CheckAsync(page.Read());

        // Its taste in names (units, words) is about ours, not about random ones; what it cannot read it calls an error.
        Assert.DoesNotContain("error while linting", said, StringComparison.Ordinal);
    }
}
