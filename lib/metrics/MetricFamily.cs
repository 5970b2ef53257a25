using System.Diagnostics.Metrics;

namespace KvFs.Metrics;

/// <summary>All series of one name.</summary>
internal sealed class MetricFamily
{
    /// <summary>Bounds for durations in seconds, from 50 µs (a cached read) to 10 s (a stuck disk).</summary>
    private static readonly double[] SecondBounds =
        [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    /// <summary>Bounds for sizes in bytes: powers of four from 256 bytes to 64 MiB.</summary>
    private static readonly double[] ByteBounds =
        [256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

    private static readonly double[] OtherBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];

    private readonly SeriesTable table;
    private readonly double[] bounds;

    public MetricFamily(string name, string help, MetricKind kind, bool isObservable, double[] bounds)
    {
        Name = name;
        Help = help;
        Kind = kind;
        IsObservable = isObservable;
        this.bounds = bounds;
        table = new SeriesTable(Create);
    }

    public string Name { get; }

    public string Help { get; }

    public MetricKind Kind { get; }

    /// <summary>Its values are asked for at each collection; series that are then not named are gone.</summary>
    public bool IsObservable { get; }

    public ReadOnlySpan<double> Bounds => bounds;

    /// <summary>Instruments that feed this family: two meters may have one of the same name and kind.</summary>
    public int Feeders { get; set; }

    /// <summary>The collection that is under way; written under the page's lock, before the callbacks run.</summary>
    public long Collection { get; set; }

    /// <summary>Gauges and observables report what is; a plain counter or up-down counter reports what was added.</summary>
    private bool ReportsTotals { get; init; }

    public static MetricFamily For(Instrument instrument, double[]? adviceBounds)
    {
        Type type = instrument.GetType().GetGenericTypeDefinition();
        MetricKind kind = type == typeof(Counter<>) || type == typeof(ObservableCounter<>) ? MetricKind.Counter
            : type == typeof(Histogram<>) ? MetricKind.Histogram
            : MetricKind.Gauge;
        string help = string.IsNullOrWhiteSpace(instrument.Description) ? instrument.Name : instrument.Description;
        double[] bounds = kind == MetricKind.Histogram ? adviceBounds ?? DefaultBounds(instrument.Unit) : [];
        string name = MetricName.OfFamily(instrument.Name, instrument.Unit, kind);
        return new MetricFamily(name, help, kind, instrument.IsObservable, bounds)
        {
            ReportsTotals = instrument.IsObservable || type == typeof(Gauge<>),
        };
    }

    /// <summary>Whether another instrument of this name may feed this family too.</summary>
    public bool Accepts(MetricFamily other) =>
        Kind == other.Kind && ReportsTotals == other.ReportsTotals && IsObservable == other.IsObservable
            && bounds.AsSpan().SequenceEqual(other.bounds);

    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        Series series = table.Get(tags);
        series.Record(value);
        if (IsObservable) { series.Collection = Collection; }
    }

    public List<Series> CurrentSeries()
    {
        List<Series> all = table.ToSortedList();
        if (IsObservable) { all.RemoveAll(series => series.Collection != Collection); }
        return all;
    }

    private Series Create(string labels) => Kind == MetricKind.Histogram ? new HistogramSeries(labels, bounds)
        : ReportsTotals ? new LastSeries(labels)
        : new SumSeries(labels);

    private static double[] DefaultBounds(string? unit) => unit switch
    {
        "s" => SecondBounds,
        "By" => ByteBounds,
        _ => OtherBounds,
    };
}
