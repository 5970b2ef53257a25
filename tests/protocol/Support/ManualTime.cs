namespace KvFs.Protocol.Tests.Support;

/// <summary>A clock that goes when it is told to, and fires the timers that then are due.</summary>
/// <remarks>It stands still while a timer is fired on any thread. Else a callback that is held up between its look at the
/// clock and the timer that it sets would set it to a time that nobody lets come.</remarks>
internal sealed class ManualTime : TimeProvider
{
    private readonly Lock moving = new();
    private readonly Lock gate = new();
    private readonly List<ManualTimer> timers = [];
    private int looksToHoldUp;
    private long heldUpTicks;
    private long ticks = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero).UtcTicks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    private long Now => Interlocked.Read(ref ticks);

    public override DateTimeOffset GetUtcNow() => new(GetTimestamp(), TimeSpan.Zero);

    public override long GetTimestamp()
    {
        long now = Now;
        if (Volatile.Read(ref looksToHoldUp) > 0 && Interlocked.Decrement(ref looksToHoldUp) == 0)
        {
            Interlocked.Add(ref ticks, heldUpTicks);
        }

        return now;
    }

    /// <summary>Time goes on by so much behind so many more looks at the clock: who looks last is held up.</summary>
    public void HoldUp(int looks, TimeSpan by)
    {
        heldUpTicks = by.Ticks;
        Volatile.Write(ref looksToHoldUp, looks);
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ManualTimer timer = new(this, callback, state);
        lock (gate) { timers.Add(timer); }
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Lets time pass, in steps of a tenth of it at the most, so that timers fire in their order.</summary>
    public void Advance(TimeSpan by)
    {
        for (int step = 0; step < 10; step++)
        {
            lock (moving)
            {
                Interlocked.Add(ref ticks, by.Ticks / 10);
                FireDue();
            }
        }
    }

    /// <summary>Lets time pass in such steps until a task has ended, which what other threads do meanwhile is a part of.</summary>
    public void AdvanceUntilEnd(Task task, TimeSpan step) => Patience.WaitFor(() =>
    {
        if (!task.IsCompleted) { Advance(step); }
        return task.IsCompleted;
    });

    private void FireDue()
    {
        lock (moving)
        {
            ManualTimer[] due;
            lock (gate) { due = [.. timers.Where(timer => timer.TakeDue(Now))]; }
            foreach (ManualTimer timer in due) { timer.Fire(); }
        }
    }

    private sealed class ManualTimer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        private long dueAt = long.MaxValue;
        private long period;

        public bool Change(TimeSpan dueTime, TimeSpan newPeriod)
        {
            lock (time.gate)
            {
                if (!time.timers.Contains(this)) { return false; }
                dueAt = dueTime == Timeout.InfiniteTimeSpan ? long.MaxValue : time.Now + dueTime.Ticks;
                period = newPeriod == Timeout.InfiniteTimeSpan ? 0 : newPeriod.Ticks;
            }

            // What is due at once is due on another thread, as with any clock.
            if (dueTime == TimeSpan.Zero) { ThreadPool.QueueUserWorkItem(_ => time.FireDue()); }
            return true;
        }

        /// <summary>Called with the clock's gate held.</summary>
        public bool TakeDue(long now)
        {
            if (dueAt > now) { return false; }
            dueAt = period == 0 ? long.MaxValue : now + period;
            return true;
        }

        public void Fire() => callback(state);

        public void Dispose()
        {
            lock (time.gate) { time.timers.Remove(this); }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
