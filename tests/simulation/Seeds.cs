using System.Globalization;
using Xunit.Abstractions;

namespace KvFs.Simulation;

/// <summary>Which seeds a simulation runs, and what it tells of them.</summary>
/// <remarks>The environment asks for more than a normal test runs: KVFS_SEEDS for how many, KVFS_SEED for the first. `make sim` sets
/// both, and shows what is written to the file KVFS_REPORT.</remarks>
internal readonly record struct Seeds(int First, int Count)
{
    private static readonly Lock s_report = new();

    public int Last => First + Count - 1;

    /// <summary>Whether more is wanted than a normal test does.</summary>
    public static bool AreAsked => Number("KVFS_SEEDS") is not null;

    /// <param name="ofEach">Runs for each seed that is asked for: as many as take about as long as those of other simulations.</param>
    /// <param name="least">Runs of a normal test.</param>
    public static Seeds Asked(int ofEach, int least) => new(
        Number("KVFS_SEED") is { } first and >= 0 ? first : 1,
        Number("KVFS_SEEDS") is { } asked ? Math.Max((int)Math.Min(asked * (long)ofEach, int.MaxValue / 4), least) : least);

    /// <summary>Tells what the runs came to.</summary>
    public static void Report(ITestOutputHelper output, string what)
    {
        output.WriteLine(what);
        if (Environment.GetEnvironmentVariable("KVFS_REPORT") is not { Length: > 0 } path) { return; }
        lock (s_report) { File.AppendAllText(path, what + "\n"); }
    }

    private static int? Number(string name) => int.TryParse(
        Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
