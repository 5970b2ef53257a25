namespace KvFs.Metrics;

/// <summary>The values under one set of labels.</summary>
/// <remarks>Thread safe. Recording takes no lock and allocates nothing.</remarks>
internal abstract class Series(string labels)
{
    /// <summary>Rendered labels without braces.</summary>
    public string Labels { get; } = labels;

    /// <summary>The last collection in which an observable instrument named this series.</summary>
    public long Collection { get; set; }

    public abstract void Record(double value);
}

/// <summary>A sum, for instruments that report what was added.</summary>
internal sealed class SumSeries(string labels) : Series(labels)
{
    private double sum;

    public double Sum => Volatile.Read(ref sum);

    public override void Record(double value) => AtomicDouble.Add(ref sum, value);
}

/// <summary>The last value, for instruments that report what is.</summary>
internal sealed class LastSeries(string labels) : Series(labels)
{
    private double last;

    public double Last => Volatile.Read(ref last);

    public override void Record(double value) => Volatile.Write(ref last, value);
}

/// <summary>How many values fell between which bounds, and their sum.</summary>
internal sealed class HistogramSeries(string labels, double[] bounds) : Series(labels)
{
    private readonly long[] counts = new long[bounds.Length + 1];
    private double sum;

    public double Sum => Volatile.Read(ref sum);

    /// <summary>Values that are at most a bound go under it. NaN has no place between bounds and is left out.</summary>
    public override void Record(double value)
    {
        if (double.IsNaN(value)) { return; }
        int at = Array.BinarySearch(bounds, value);
        Interlocked.Increment(ref counts[at >= 0 ? at : ~at]);
        AtomicDouble.Add(ref sum, value);
    }

    /// <summary>The number of values in the bucket at an index; the one behind the last bound is +Inf's.</summary>
    public long CountAt(int index) => Volatile.Read(ref counts[index]);
}

internal static class AtomicDouble
{
    public static void Add(ref double place, double value)
    {
        double seen = Volatile.Read(ref place);
        while (true)
        {
            double before = Interlocked.CompareExchange(ref place, seen + value, seen);
            if (BitConverter.DoubleToInt64Bits(before) == BitConverter.DoubleToInt64Bits(seen)) { return; }
            seen = before;
        }
    }
}
