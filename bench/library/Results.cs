using System.Text.Json.Nodes;

namespace KvFs.Bench;

/// <summary>Figures, as lines of JSON on the standard output; what people want to know meanwhile goes to the other one.</summary>
internal sealed class Results(BenchOptions options, int nodes, int copies)
{
    public static void Say(string what) => Console.Error.WriteLine($"bench: {what}");

    /// <summary>A row that a closed loop measured.</summary>
    public void Add(string row, LoopResult result, JsonObject? more = null)
    {
        double seconds = result.Took.TotalSeconds;
        JsonObject line = Line(row);
        line["seconds"] = Math.Round(seconds, 2);
        line["operations"] = result.Operations;
        line["perSecond"] = Math.Round(result.Operations / seconds, 1);
        line["p50Us"] = Math.Round(result.Latencies.Microseconds(0.50), 1);
        line["p99Us"] = Math.Round(result.Latencies.Microseconds(0.99), 1);
        line["p999Us"] = Math.Round(result.Latencies.Microseconds(0.999), 1);
        line["maxUs"] = Math.Round(result.Latencies.MaxNanoseconds / 1e3, 1);
        AddUsage(line, result.Used, result.Operations);
        line["machineBusy"] = Math.Round(result.Used.MachineSeconds / seconds / Environment.ProcessorCount, 3);
        foreach ((string name, JsonNode? value) in more ?? []) { line[name] = value?.DeepClone(); }
        Add(line);
    }

    public void Add(string row, JsonObject figures)
    {
        JsonObject line = Line(row);
        foreach ((string name, JsonNode? value) in figures) { line[name] = value?.DeepClone(); }
        Add(line);
    }

    private static void AddUsage(JsonObject line, Usage used, long operations)
    {
        double each = Math.Max(operations, 1);
        line["clientProcessorUs"] = Math.Round(used.ClientSeconds * 1e6 / each, 2);
        line["nodesProcessorUs"] = Math.Round(used.NodeSeconds * 1e6 / each, 2);
        line["othersSeconds"] = Math.Round(used.MachineSeconds - used.ClientSeconds - used.NodeSeconds, 2);
        line["diskBytes"] = Math.Round(used.DiskBytes / each, 1);
        if (used.NetworkBytes is { } sent) { line["networkBytes"] = Math.Round(sent / each, 1); }
    }

    private JsonObject Line(string row) => new()
    {
        ["row"] = row,
        ["nodes"] = nodes,
        ["copies"] = copies,
        ["drives"] = options.Drives,
        ["concurrency"] = options.Concurrency,
        ["load"] = LoadAverage(),
    };

    private static void Add(JsonObject line) => Console.Out.WriteLine(line.ToJsonString());

    /// <summary>Of the last minute, as it is when a row is told.</summary>
    private static double LoadAverage() => double.Parse(
        File.ReadAllText("/proc/loadavg").Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
}
