namespace KvFs.Mount.Tests.Kernel;

/// <summary>Time that passes when the test says so.</summary>
internal sealed class ManualClock : TimeProvider
{
    private static readonly DateTimeOffset s_begin = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private long ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => s_begin.AddTicks(GetTimestamp());

    public override long GetTimestamp() => Interlocked.Read(ref ticks);

    public void Advance(TimeSpan by) => Interlocked.Add(ref ticks, by.Ticks);
}
