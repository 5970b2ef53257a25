namespace KvFs.Pki.Tests.Support;

/// <summary>A clock that goes on when it is told to. Thread safe.</summary>
internal sealed class ManualClock : TimeProvider
{
    private readonly DateTimeOffset start = System.GetUtcNow();
    private long passed;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => start + TimeSpan.FromTicks(GetTimestamp());

    public override long GetTimestamp() => Volatile.Read(ref passed);

    public void Advance(TimeSpan time) => Interlocked.Add(ref passed, time.Ticks);
}
