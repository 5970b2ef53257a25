namespace KvFs.Client.Remote;

/// <summary>Up to when one request is tried: all of its waits, calls and attempts together have what is left until then.</summary>
internal readonly struct Deadline
{
    private readonly TimeProvider? clock;
    private readonly long began;
    private readonly TimeSpan time;

    private Deadline(TimeSpan time, TimeProvider clock)
    {
        this.clock = clock;
        this.time = time;
        began = clock.GetTimestamp();
    }

    /// <summary>It never passes.</summary>
    public static Deadline None => default;

    public bool IsNone => clock is null;

    /// <summary>What is left, not less than nothing; null: it never passes.</summary>
    public TimeSpan? Left
    {
        get
        {
            if (clock is null) { return null; }
            TimeSpan left = time - clock.GetElapsedTime(began);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    public bool HasPassed => Left == TimeSpan.Zero;

    /// <param name="time">From now on; null: it never passes.</param>
    /// <param name="clock">Counts it.</param>
    public static Deadline After(TimeSpan? time, TimeProvider clock) => time is { } limit ? new(limit, clock) : None;

    /// <summary>What is left, and at most so much.</summary>
    public TimeSpan Within(TimeSpan most) => Left is { } left && left < most ? left : most;
}
