using System.Text.Json;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Top;
using KvFs.Protocol;

namespace KvFs.Cli.Tests.Top;

public sealed class TopReportTests
{
    private static readonly DateTimeOffset s_time = new(2030, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static readonly PoolCondition s_healthy = new(15, 1, 0, 0, 0, 0, 0, 0, 3, 3);

    [Fact]
    public void Rates_are_the_difference_of_two_samples_over_the_nodes_own_time()
    {
        TopReport report = TopReport.Of(
            Sample(Node("n1", Counters("a", 1_000, read: 10_000, written: 20_000, Drive("x", requests: 100, commits: 10, commitMs: 50, committed: 7_000)))),
            Sample(Node("n1", Counters("a", 3_000, read: 14_000, written: 26_000, Drive("x", requests: 300, commits: 20, commitMs: 90, committed: 9_000)))),
            s_time);
        TopNode node = Assert.Single(report.Nodes);
        Assert.Equal((100, 2_000, 3_000, 4), (node.OperationsPerSecond, node.ReadBytesPerSecond, node.WriteBytesPerSecond, node.CommitMs));
        Assert.Equal((600UL, 1_000UL), (node.UsedBytes, node.TotalBytes));
        TopDrive drive = Assert.Single(report.Drives);
        Assert.Equal((100, 1_000, 5, 4), (drive.OperationsPerSecond, drive.WriteBytesPerSecond, drive.CommitsPerSecond, drive.CommitMs));
        Assert.Equal(("x", "n1", 2), (drive.Name, drive.Node, drive.Sessions));
    }

    [Fact]
    public void Of_a_node_that_was_started_or_silent_in_between_rates_are_not_known()
    {
        TopCounters counters = Counters("b", 500, read: 5, written: 5, Drive("x", requests: 3, commits: 1, commitMs: 1, committed: 1));
        foreach (TopCounters? before in (TopCounters?[])[null, Counters("a", 100_000, read: 1 << 20, written: 1 << 20)])
        {
            TopReport report = TopReport.Of(Sample(Node("n1", before)), Sample(Node("n1", counters)), s_time);
            Assert.Null(report.Nodes[0].OperationsPerSecond);
            Assert.Null(report.Nodes[0].ReadBytesPerSecond);
            Assert.Null(report.Nodes[0].CommitMs);
            Assert.Null(report.Drives[0].OperationsPerSecond);
        }

        TopNode silent = TopReport.Of(Sample(Node("n1", counters)), Sample(Node("n1", null)), s_time).Nodes[0];
        Assert.Equal(("silent", null, null), (silent.State, silent.UsedBytes, silent.OperationsPerSecond));
    }

    [Fact]
    public void A_drive_that_changed_hands_counts_from_nothing()
    {
        TopDriveCounters drive = Drive("x", requests: 8, commits: 4, commitMs: 2, committed: 400);
        foreach (TopDriveCounters[] before in (TopDriveCounters[][])[[], [Drive("x", requests: 900, commits: 90, commitMs: 9, committed: 90)]])
        {
            TopReport report = TopReport.Of(
                Sample(Node("n1", Counters("a", 0, 0, 0, before))), Sample(Node("n1", Counters("a", 2_000, 0, 0, drive))), s_time);
            Assert.Equal((4, 200, 2, 0.5), (
                report.Drives[0].OperationsPerSecond, report.Drives[0].WriteBytesPerSecond, report.Drives[0].CommitsPerSecond, report.Drives[0].CommitMs));
        }
    }

    [Fact]
    public void The_first_line_says_the_worst_first_and_how_far_healing_is()
    {
        TopNodeSample node = Node("n1", Counters("a", 1, 0, 0));
        Assert.Equal("healthy: 16 shards: 1 moving, 15 full; no copy missing", Summary(s_healthy, node));
        Assert.Equal(
            "healing: 16 shards: 4 healing, 12 full; 4 of 48 copies missing (91.7 % there); no answer from n3",
            Summary(new(12, 0, 4, 0, 0, 0, 0, 4, 3, 3), node, Node("n3", null)));
        Assert.Equal(
            "at risk: 16 shards: 16 at risk; 32 of 48 copies missing (33.3 % there); nodes for 1 of 3 copies",
            Summary(new(0, 0, 0, 0, 16, 0, 0, 32, 3, 1), node));
        Assert.Equal("not served: 2 shards: 1 down, 1 without primary; 6 of 6 copies missing (0 % there)", Summary(new(0, 0, 0, 0, 0, 1, 1, 6, 3, 3), node));
        Assert.Equal("1 node, ok", Summary(null, node));
        Assert.Equal("1 node: smoke", Summary(null, node with { Counters = node.Counters! with { Trouble = "smoke" } }));
    }

    [Fact]
    public void What_people_see_has_a_line_for_each_node_and_drive_and_dashes_for_what_is_not_known()
    {
        TopSample sample = new(
            s_healthy,
            [
                new("n1", "west", "up", new(5, 16, 2), Counters("a", 2_000, 0, 0, Drive("x", 1, 1, 1, 1))),
                new("n2", "", "draining", new(0, 0, 0), null),
            ]);
        using StringWriter text = new();
        TopView.Write(text, TopReport.Of(sample, sample, s_time));
        string[] lines = text.ToString().Split('\n');
        Assert.Contains("healthy: 16 shards", lines[0], StringComparison.Ordinal);
        Assert.Matches("^NODE +ZONE +STATE +PRIMARY +COPIES +DISK USED +DISK +OPS/S +READ/S +WRITE/S +COMMIT$", lines[2]);
        Assert.Matches(@"^n1 +west +up +5 +16\+2 +600 B +1000 B +- +- +- +-$", lines[3]);
        Assert.Matches("^n2 +- +silent +0 +0 +- +- +- +- +- +-$", lines[4]);
        Assert.Matches("^DRIVE +NODE +USED +QUOTA +SESSIONS +OPS/S +WRITE/S +COMMITS/S +COMMIT$", lines[6]);
        Assert.Matches("^x +n1 +1000 B +none +2 +- +- +- +-$", lines[7]);
    }

    [Fact]
    public void Samples_travel_as_they_are()
    {
        TopSample sample = new(s_healthy, [new("n1", "west", "up", new(5, 16, 2), Counters("a", 2.5, 1, 2, Drive("x", 1, 1, 1.5, 1))), Node("n2", null)]);
        string text = JsonSerializer.Serialize(sample, ControlJson.Default.TopSample);
        TopSample read = JsonSerializer.Deserialize(text, ControlJson.Default.TopSample)!;
        Assert.Equal(text, JsonSerializer.Serialize(read, ControlJson.Default.TopSample));
        Assert.Equal(sample.Health, read.Health);
        Assert.Equal("x", read.Nodes[0].Counters!.Drives[0].Name);
    }

    [Theory]
    [InlineData("2s", 2_000)]
    [InlineData("500ms", 500)]
    [InlineData("1.5m", 90_000)]
    [InlineData("3", 3_000)]
    [InlineData("100ms", 100)]
    [InlineData("60m", 3_600_000)]
    [InlineData("99ms", null)]
    [InlineData("61m", null)]
    [InlineData("-2s", null)]
    [InlineData("1e3", null)]
    [InlineData("NaN", null)]
    [InlineData("s", null)]
    [InlineData("", null)]
    public void Times_are_read_as_people_write_them(string text, int? expectedMs)
    {
        bool isTime = DurationText.TryParse(text, out TimeSpan time);
        Assert.Equal(expectedMs is not null, isTime);
        if (expectedMs is { } ms) { Assert.Equal(TimeSpan.FromMilliseconds(ms), time); }
    }

    [Theory]
    [InlineData("100ms")]
    [InlineData("1.5s")]
    [InlineData("60m")]
    public void A_time_that_is_written_is_read_as_the_same(string text)
    {
        Assert.True(DurationText.TryParse(text, out TimeSpan time));
        Assert.True(DurationText.TryParse(DurationText.Format(time), out TimeSpan again));
        Assert.Equal(time, again);
    }

    private static string Summary(PoolCondition? health, params TopNodeSample[] nodes)
    {
        TopSample sample = new(health, nodes);
        return TopReport.Of(sample, sample, s_time).Summary;
    }

    private static TopSample Sample(params TopNodeSample[] nodes) => new(s_healthy, nodes);

    private static TopNodeSample Node(string name, TopCounters? counters) => new(name, "", "up", new(1, 2, 0), counters);

    private static TopCounters Counters(string boot, double clockMs, ulong read, ulong written, params TopDriveCounters[] drives) =>
        new(boot, clockMs, true, null, 1_000, 400, 1, read, 1, written, drives);

    private static TopDriveCounters Drive(string name, ulong requests, ulong commits, double commitMs, ulong committed) =>
        new(name, 1_000, 0, 2, requests, commits, commitMs, committed);
}
