namespace KvFs.Protocol;

/// <summary>When a request's caller stops waiting: a moment on the monotonic clock of a <see cref="TimeProvider"/>.</summary>
/// <remarks>The default is <see cref="None"/>. Compare it with the clock that made it only.</remarks>
public readonly record struct Deadline
{
    /// <summary>In the clock's units; 0: none.</summary>
    private readonly long at;

    private Deadline(long at) => this.at = at;

    /// <summary>The caller waits for as long as it takes.</summary>
    public static Deadline None => default;

    public bool IsNone => at == 0;

    /// <summary>The moment, in the clock's units; the end of time if there is none.</summary>
    internal long Timestamp => IsNone ? long.MaxValue : at;

    /// <summary>The moment that is so far from now. Times of no end are <see cref="None"/>.</summary>
    public static Deadline After(TimeProvider clock, TimeSpan time)
    {
        ArgumentNullException.ThrowIfNull(clock);
        if (time == Timeout.InfiniteTimeSpan) { return None; }
        double units = Math.Max(0, time.TotalSeconds) * clock.TimestampFrequency;
        long now = clock.GetTimestamp();
        return units >= long.MaxValue - now ? None : new(Math.Max(1, now + (long)units));
    }

    public bool IsPast(TimeProvider clock) => !IsNone && Remaining(clock) <= TimeSpan.Zero;

    /// <summary>What is left: never negative; <see cref="Timeout.InfiniteTimeSpan"/> if there is no deadline.</summary>
    public TimeSpan Remaining(TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(clock);
        if (IsNone) { return Timeout.InfiniteTimeSpan; }
        long now = clock.GetTimestamp();
        return at <= now ? TimeSpan.Zero : clock.GetElapsedTime(now, at);
    }
}
