namespace KvFs.Node.Maintenance;

/// <summary>Has long work that nobody waits for leave most of the time, of processors and disk, to those who are waited for:
/// nearly all of it while clients ask for something.</summary>
/// <remarks>One thread's. Call <see cref="Rest"/> every few milliseconds, with no lock held.</remarks>
/// <param name="served">Requests of clients, ever.</param>
/// <param name="clock">Tells how long the work was.</param>
/// <param name="wait">Waits so long, or ends at once if the work is to end.</param>
public sealed class Pace(Func<long> served, TimeProvider clock, Action<TimeSpan> wait)
{
    /// <summary>How much longer the rest is than the work before it.</summary>
    public const int QuietFactor = 5;

    /// <summary>The same, while clients are busy.</summary>
    public const int BusyFactor = 25;

    /// <summary>Requests a second from which on clients are busy.</summary>
    public const int BusyRequests = 500;

    private long began = clock.GetTimestamp();

    /// <summary>No rest is longer.</summary>
    public static TimeSpan Longest { get; } = TimeSpan.FromSeconds(1);

    /// <summary>A pace that keeps until somebody wants the work to end.</summary>
    public static Pace Until(Func<long> served, TimeProvider clock, CancellationToken stop) =>
        new(served, clock, time => stop.WaitHandle.WaitOne(time));

    /// <summary>Rests for what was worked since the start or the last rest.</summary>
    public void Rest()
    {
        TimeSpan worked = clock.GetElapsedTime(began);
        TimeSpan quiet = Bounded(worked * QuietFactor);
        long before = served();
        wait(quiet);
        TimeSpan more = Bounded(worked * BusyFactor) - quiet;
        if (more > TimeSpan.Zero && served() - before > quiet.TotalSeconds * BusyRequests) { wait(more); }
        began = clock.GetTimestamp();
    }

    private static TimeSpan Bounded(TimeSpan rest) => rest < Longest ? rest : Longest;
}
