using System.Buffers;
using System.Globalization;
using System.Text;

namespace KvFs.Metrics;

/// <summary>Writes families in Prometheus's text format, version 0.0.4.</summary>
/// <remarks>Source: Prometheus, "Exposition formats". Lines end with a line feed; a histogram's buckets are cumulative, and
/// its count is the sum of the buckets as they were read, so a page never contradicts itself.</remarks>
internal sealed class TextFormat(IBufferWriter<byte> output)
{
    public void Write(MetricFamily family)
    {
        List<Series> all = family.CurrentSeries();
        if (all.Count == 0) { return; }
        Put($"# HELP {family.Name} {EscapeHelp(family.Help)}\n");
        Put($"# TYPE {family.Name} {TypeOf(family.Kind)}\n");
        foreach (Series series in all)
        {
            switch (series)
            {
                case SumSeries sum: Sample(family.Name, series.Labels, sum.Sum); break;
                case LastSeries last: Sample(family.Name, series.Labels, last.Last); break;
                case HistogramSeries histogram: Histogram(family, histogram); break;
            }
        }
    }

    /// <summary>A number as Prometheus reads it.</summary>
    public static string Number(double value) =>
        double.IsNaN(value) ? "NaN"
        : double.IsPositiveInfinity(value) ? "+Inf"
        : double.IsNegativeInfinity(value) ? "-Inf"
        : value.ToString("R", CultureInfo.InvariantCulture);

    private void Histogram(MetricFamily family, HistogramSeries series)
    {
        string separator = series.Labels.Length > 0 ? "," : string.Empty;
        long total = 0;
        for (int at = 0; at <= family.Bounds.Length; at++)
        {
            total += series.CountAt(at);
            double bound = at < family.Bounds.Length ? family.Bounds[at] : double.PositiveInfinity;
            Sample(family.Name + "_bucket", $"{series.Labels}{separator}le=\"{Number(bound)}\"", total);
        }
        Sample(family.Name + "_sum", series.Labels, series.Sum);
        Sample(family.Name + "_count", series.Labels, total);
    }

    private void Sample(string name, string labels, double value) =>
        Put(labels.Length == 0 ? $"{name} {Number(value)}\n" : $"{name}{{{labels}}} {Number(value)}\n");

    private void Put(string text) => Encoding.UTF8.GetBytes(text, output);

    private static string EscapeHelp(string help) =>
        LabelSet.Escape(help).Replace("\\\"", "\"", StringComparison.Ordinal);

    private static string TypeOf(MetricKind kind) => kind switch
    {
        MetricKind.Counter => "counter",
        MetricKind.Histogram => "histogram",
        _ => "gauge",
    };
}
