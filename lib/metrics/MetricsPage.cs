using System.Buffers;
using System.Diagnostics.Metrics;

namespace KvFs.Metrics;

/// <summary>Listens to instruments of <see cref="System.Diagnostics.Metrics"/> and writes their values as a page that
/// Prometheus scrapes.</summary>
/// <remarks>Thread safe. Measurements of instruments that were created before this object count from its creation on.
/// </remarks>
public sealed class MetricsPage : IDisposable
{
    /// <summary>The media type of what <see cref="Write"/> writes.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly Func<Meter, bool> wants;
    private readonly MeterListener listener;
    private readonly Lock gate = new();
    private readonly SortedDictionary<string, MetricFamily> families = new(StringComparer.Ordinal);
    private long collection;

    /// <param name="wants">Says of which meters the instruments are shown. Called under a lock: it must be quick.</param>
    public MetricsPage(Func<Meter, bool> wants)
    {
        ArgumentNullException.ThrowIfNull(wants);
        this.wants = wants;
        listener = new MeterListener
        {
            InstrumentPublished = OnPublished,
            MeasurementsCompleted = OnCompleted,
        };
        listener.SetMeasurementEventCallback<byte>(OnMeasured);
        listener.SetMeasurementEventCallback<short>(OnMeasured);
        listener.SetMeasurementEventCallback<int>(OnMeasured);
        listener.SetMeasurementEventCallback<long>(OnMeasured);
        listener.SetMeasurementEventCallback<float>(OnMeasured);
        listener.SetMeasurementEventCallback<double>(OnMeasured);
        listener.SetMeasurementEventCallback<decimal>(
            static (_, value, tags, state) => ((MetricFamily)state!).Record((double)value, tags));
        listener.Start();
    }

    /// <summary>Instruments that are not shown, because their name already belongs to one of another kind.</summary>
    public int Conflicts { get; private set; }

    /// <summary>Writes all values as they are now, in the text format 0.0.4, families and series in a fixed order.</summary>
    /// <returns>What callbacks of observable instruments threw; their values are missing, all others are there.</returns>
    public IReadOnlyList<Exception> Write(IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        lock (gate)
        {
            collection++;
            foreach (MetricFamily family in families.Values) { family.Collection = collection; }
            Exception[] failures = Observe();
            TextFormat format = new(output);
            foreach (MetricFamily family in families.Values) { format.Write(family); }
            return failures;
        }
    }

    public void Dispose() => listener.Dispose();

    private Exception[] Observe()
    {
        try
        {
            listener.RecordObservableInstruments();
            return [];
        }
        catch (AggregateException failures)
        {
            // The listener asks every instrument before it throws what some of them threw.
            return [.. failures.InnerExceptions];
        }
    }

    private void OnPublished(Instrument instrument, MeterListener source)
    {
        if (!wants(instrument.Meter)) { return; }
        MetricFamily family = MetricFamily.For(instrument, AdviceOf(instrument));
        lock (gate)
        {
            if (families.TryGetValue(family.Name, out MetricFamily? known))
            {
                if (!known.Accepts(family))
                {
                    Conflicts++;
                    return;
                }
                family = known;
            }
            families[family.Name] = family;
            family.Feeders++;
        }
        source.EnableMeasurementEvents(instrument, family);
    }

    private void OnCompleted(Instrument instrument, object? state)
    {
        if (state is not MetricFamily family) { return; }
        lock (gate)
        {
            if (--family.Feeders == 0) { families.Remove(family.Name); }
        }
    }

    private static void OnMeasured<T>(
        Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
        where T : struct, System.Numerics.INumberBase<T> =>
        ((MetricFamily)state!).Record(double.CreateTruncating(value), tags);

    /// <summary>The bounds that an instrument itself advises, if they are usable: finite and rising.</summary>
    private static double[]? AdviceOf(Instrument instrument)
    {
        IEnumerable<double>? given = instrument switch
        {
            Histogram<byte> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<short> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<int> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<long> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<float> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            Histogram<double> histogram => histogram.Advice?.HistogramBucketBoundaries,
            Histogram<decimal> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound),
            _ => null,
        };
        double[] bounds = given?.Where(double.IsFinite).ToArray() ?? [];
        return bounds.Length > 0 ? bounds : null;
    }
}
