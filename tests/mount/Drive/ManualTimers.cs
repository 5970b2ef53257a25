using KvFs.Core;
using KvFs.Mount.Tests.Kernel;

namespace KvFs.Mount.Tests.Drive;

/// <summary>A clock with one timer, which fires when the test says so.</summary>
internal sealed class ManualTimers(ManualClock clock) : TimeProvider
{
    private Action? fire;

    public override long TimestampFrequency => clock.TimestampFrequency;

    /// <summary>How often it would fire.</summary>
    public TimeSpan Period { get; private set; }

    public Timestamp Now => new((GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick);

    public override DateTimeOffset GetUtcNow() => clock.GetUtcNow();

    public override long GetTimestamp() => clock.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        Assert.Null(fire);
        Assert.Equal(dueTime, period);
        fire = () => callback(state);
        Period = period;
        return new Timer();
    }

    public void Fire() => fire!();

    private sealed class Timer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => throw new NotSupportedException();

        public void Dispose()
        {
            // There is nothing to stop.
        }

        public ValueTask DisposeAsync() => default;
    }
}
