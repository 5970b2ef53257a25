using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>The clock that other tests drive by hand.</summary>
public sealed class ManualTimeTests
{
    [Fact]
    public async Task Time_stands_still_while_a_timer_is_fired_on_another_thread()
    {
        ManualTime time = new();
        long start = time.GetTimestamp();
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<long> seen = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using ManualResetEventSlim held = new();
        await using ITimer timer = time.CreateTimer(
            _ =>
            {
                begun.SetResult();
                held.Wait(CancellationToken.None);
                seen.SetResult(time.GetTimestamp());
            },
            null,
            TimeSpan.Zero,
            Timeout.InfiniteTimeSpan);
        await begun.Task.WaitAsync(Patience.Time);
        Thread mover = new(() => time.Advance(TimeSpan.FromSeconds(1)));
        mover.Start();
        Patience.WaitFor(() => !mover.IsAlive || mover.ThreadState.HasFlag(ThreadState.WaitSleepJoin));
        held.Set();
        Assert.Equal(start, await seen.Task);
        mover.Join();
        Assert.Equal(start + TimeSpan.TicksPerSecond, time.GetTimestamp());
    }
}
