namespace KvFs.Mount;

/// <summary>Decides how many workers read requests: as few as keep up, and always one while another may wait.</summary>
/// <remarks>
/// Thread safe. Why not all of them at all times: the kernel hands requests to waiting readers in turn, so that a program
/// that asks one thing after the other wakes another thread each time, on another processor, with cold caches. One reader
/// answers such a program a quarter faster.
/// <para>More read as soon as that helps: (1) before an operation that may wait for a disk, if nobody else reads; (2) when
/// those that read hardly ever wait for a request; (3) when the only readers are stuck for <see cref="WatchMs"/> in something
/// that was expected to be quick: one of those that rest watches. When for <see cref="Decay"/> nothing called for that many,
/// one goes to rest.</para>
/// A worker's loop: <see cref="BeforeRead"/>; the read; <see cref="AfterRead"/>; <see cref="BeforeWait"/> if what it does
/// may wait; at the end of the connection, <see cref="End"/>.
/// </remarks>
internal sealed class FuseReaders
{
    /// <summary>Reads after which is looked at how much of the time was spent waiting for requests.</summary>
    private const int WindowReads = 64;

    /// <summary>Readers that wait for less than this part of the time (an eighth) do not keep up.</summary>
    private const int BusyParts = 8;

    /// <summary>Milliseconds between two looks of the worker that watches.</summary>
    private const int WatchMs = 5;

    private readonly object gate = new();
    private readonly int workers;
    private readonly TimeProvider time;
    private int wanted = 1;
    private int active;
    private int reading;
    private long called;
    private long reads;
    private long windowStart;
    private long windowWaited;
    private int windowReads;
    private bool hasWatch;
    private bool isIdle;
    private bool ended;

    /// <param name="workers">Threads that there are.</param>
    /// <param name="time">The clock; only its timestamps are used.</param>
    public FuseReaders(int workers, TimeProvider time)
    {
        this.workers = workers;
        this.time = time;
        active = workers;
        called = windowStart = time.GetTimestamp();
    }

    /// <summary>How long a worker that nothing called for goes on reading.</summary>
    public static TimeSpan Decay => TimeSpan.FromMilliseconds(20);

    /// <summary>Workers that do not rest.</summary>
    public int Active
    {
        get
        {
            lock (gate) { return active; }
        }
    }

    /// <summary>A worker is about to read; it rests here while others are enough.</summary>
    /// <returns>When it began to read: for <see cref="AfterRead"/>.</returns>
    public long BeforeRead()
    {
        lock (gate)
        {
            long now = time.GetTimestamp();
            if (wanted > 1 && time.GetElapsedTime(called, now) > Decay)
            {
                wanted--;
                called = now;
            }

            if (active > wanted && reading > 0 && !ended)
            {
                Rest();
                now = time.GetTimestamp();
            }

            reading++;
            return now;
        }
    }

    /// <summary>A read came back.</summary>
    public void AfterRead(long began)
    {
        lock (gate)
        {
            long now = time.GetTimestamp();
            reading--;
            reads++;
            windowWaited += now - began;
            if (++windowReads == WindowReads)
            {
                if (windowWaited * BusyParts < (now - windowStart) * active) { Call(); }
                windowReads = 0;
                windowWaited = 0;
                windowStart = now;
            }

            if (!isIdle) { return; }
            isIdle = false;
            Monitor.Pulse(gate);
        }
    }

    /// <summary>What the worker does next may wait: somebody else reads meanwhile.</summary>
    public void BeforeWait()
    {
        lock (gate)
        {
            if (reading == 0) { Call(); }
        }
    }

    /// <summary>A worker ended: the others find out whether they must, too, and nobody rests any more.</summary>
    public void End()
    {
        lock (gate)
        {
            ended = true;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>One worker more reads, if there is one.</summary>
    private void Call()
    {
        called = time.GetTimestamp();
        if (active < wanted || active == workers) { return; }
        wanted = active + 1;
        Monitor.Pulse(gate);
    }

    /// <summary>Waits until one more worker is wanted. Of those that rest, one looks now and then whether the readers are
    /// stuck, but not while all of them wait for requests.</summary>
    private void Rest()
    {
        active--;
        while (!ended && active >= wanted)
        {
            if (hasWatch || isIdle)
            {
                Monitor.Wait(gate);
                continue;
            }

            long seen = reads;
            hasWatch = true;
            bool pulsed = Monitor.Wait(gate, WatchMs);
            hasWatch = false;
            if (pulsed || reads != seen) { continue; }
            if (reading == 0) { Call(); }
            else { isIdle = true; }
        }

        active++;

        // It may have been the one that watched.
        if (!hasWatch && !isIdle) { Monitor.Pulse(gate); }
    }
}
