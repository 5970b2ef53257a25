namespace KvFs.Simulation.Nodes;

/// <summary>A clock that moves when it is told to, and a little each time it is asked.</summary>
internal sealed class SimulatedClock : TimeProvider
{
    private long microseconds = 1_700_000_000_000_000;

    public override long TimestampFrequency => 1_000_000;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddMicroseconds(++microseconds);

    public override long GetTimestamp() => ++microseconds;

    internal void Advance(TimeSpan time) => microseconds += (long)time.TotalMicroseconds;
}
