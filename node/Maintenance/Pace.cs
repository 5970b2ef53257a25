using System.Diagnostics;

namespace KvFs.Node.Maintenance;

/// <summary>Has long work that nobody waits for leave most of the time, of processors and disk, to those who are waited for.
/// </summary>
/// <remarks>One thread's. Call <see cref="Rest"/> every few milliseconds, with no lock held.</remarks>
/// <param name="stop">Ends every rest.</param>
public sealed class Pace(CancellationToken stop)
{
    /// <summary>How much longer the rest is than the work before it.</summary>
    private const int Factor = 5;

    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(1);

    private long began = Stopwatch.GetTimestamp();

    /// <summary>Rests for what was worked since the start or the last rest.</summary>
    public void Rest()
    {
        TimeSpan rest = Stopwatch.GetElapsedTime(began) * Factor;
        stop.WaitHandle.WaitOne(rest < s_longest ? rest : s_longest);
        began = Stopwatch.GetTimestamp();
    }
}
