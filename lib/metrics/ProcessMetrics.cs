using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;

namespace KvFs.Metrics;

/// <summary>What every exporter tells of its own process, under the names that dashboards know.</summary>
/// <remarks>Values are read from /proc when a page is written; what cannot be read is left out.</remarks>
public sealed class ProcessMetrics : IDisposable
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "KvFs.Metrics.Process";

    private readonly Meter meter = new(MeterName);

    public ProcessMetrics()
    {
        meter.CreateObservableCounter(
            "process_cpu", CpuSeconds, "s", "Total user and system CPU time spent in seconds.");
        meter.CreateObservableGauge(
            "process_resident_memory", () => StatusBytes("VmRSS:"), "By", "Resident memory size in bytes.");
        meter.CreateObservableGauge(
            "process_virtual_memory", () => StatusBytes("VmSize:"), "By", "Virtual memory size in bytes.");
        meter.CreateObservableGauge("process_open_fds", OpenDescriptors, null, "Number of open file descriptors.");
        meter.CreateObservableGauge("process_threads", Threads, null, "Number of threads.");
        double started = StartSeconds();
        meter.CreateObservableGauge(
            "process_start_time", () => started, "s", "Start time of the process since unix epoch in seconds.");
        meter.CreateObservableGauge(
            "dotnet_total_memory", () => GC.GetTotalMemory(forceFullCollection: false), "By",
            "Memory that the garbage collector holds for live and not yet collected objects.");
        meter.CreateObservableCounter(
            "dotnet_collections", Collections, null, "Garbage collections, by generation.");
    }

    public void Dispose() => meter.Dispose();

    private static double CpuSeconds() => Environment.CpuUsage.TotalTime.TotalSeconds;

    private static double StartSeconds()
    {
        using Process self = Process.GetCurrentProcess();
        return (self.StartTime.ToUniversalTime() - DateTime.UnixEpoch).TotalSeconds;
    }

    private static IEnumerable<Measurement<long>> StatusBytes(string field)
    {
        string? line = StatusLine(field);
        if (line is null) { yield break; }
        string[] words = line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        if (words.Length >= 2 && long.TryParse(words[1], CultureInfo.InvariantCulture, out long kibibytes))
        {
            yield return new(kibibytes * 1024);
        }
    }

    private static IEnumerable<Measurement<long>> Threads()
    {
        string? line = StatusLine("Threads:");
        if (line is not null && long.TryParse(line["Threads:".Length..], CultureInfo.InvariantCulture, out long threads))
        {
            yield return new(threads);
        }
    }

    private static IEnumerable<Measurement<long>> OpenDescriptors()
    {
        DirectoryInfo folder = new("/proc/self/fd");
        if (folder.Exists) { yield return new(folder.EnumerateFileSystemInfos().LongCount()); }
    }

    private static IEnumerable<Measurement<long>> Collections()
    {
        for (int generation = 0; generation <= GC.MaxGeneration; generation++)
        {
            yield return new(GC.CollectionCount(generation), new KeyValuePair<string, object?>("generation", generation));
        }
    }

    private static string? StatusLine(string field)
    {
        const string path = "/proc/self/status";
        return File.Exists(path)
            ? File.ReadLines(path).FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal))
            : null;
    }
}
