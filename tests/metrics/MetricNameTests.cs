using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;

namespace KvFs.Metrics.Tests;

public sealed class MetricNameTests
{
    [Theory]
    [InlineData("kvfs.node.read", "By", MetricKind.Counter, "kvfs_node_read_bytes_total")]
    [InlineData("requests", "{request}", MetricKind.Counter, "requests_total")]
    [InlineData("requests_total", null, MetricKind.Counter, "requests_total")]
    [InlineData("commit.seconds", "s", MetricKind.Histogram, "commit_seconds")]
    [InlineData("full", "1", MetricKind.Gauge, "full_ratio")]
    [InlineData("hits", "1", MetricKind.Counter, "hits_total")]
    [InlineData("things_total", null, MetricKind.Gauge, "things")]
    [InlineData("9 lives--left", null, MetricKind.Gauge, "_9_lives_left")]
    [InlineData("speed", "By/s", MetricKind.Gauge, "speed_By_s")]
    public void An_instrument_gets_the_name_that_Prometheus_expects(
        string instrument, string? unit, MetricKind kind, string expected) =>
        Assert.Equal(expected, MetricName.OfFamily(instrument, unit, kind));

    [Theory]
    [InlineData("drive", "drive")]
    [InlineData("__name__", "_name__")]
    [InlineData("", "_")]
    [InlineData("a:b", "a_b")]
    public void A_tag_gets_a_label_name_that_is_allowed(string tag, string expected) =>
        Assert.Equal(expected, MetricName.OfLabel(tag));

    [Fact]
    public void Any_text_becomes_a_name_of_the_allowed_letters() =>
        Prop.ForAll<string, string>((name, unit) =>
        {
            string text = string.IsNullOrEmpty(name) ? "x" : name;
            return Regex.IsMatch(MetricName.OfFamily(text, unit, MetricKind.Counter), "^[a-zA-Z_:][a-zA-Z0-9_:]*_total$")
                && Regex.IsMatch(MetricName.OfLabel(text), "^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$");
        }).QuickCheckThrowOnFailure();
}
