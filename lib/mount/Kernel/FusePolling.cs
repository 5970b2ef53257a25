namespace KvFs.Mount;

/// <summary>Decides whether a worker asks the kernel again and again for its next request before it sleeps for it.</summary>
/// <remarks>
/// One worker's; not thread safe. Why: a program that asks one thing after the other has its next request ready after
/// microseconds, and to put a processor to sleep and wake it costs more than that, above all in a virtual machine. What it
/// must not do is take time from others: it polls for <see cref="Window"/> at the most, only after requests that followed each
/// other that closely; a request that did not come in time is followed by ever more that are slept for; and where the thread
/// had to wait for a processor for much of the time, because somebody else needs it, it leaves off for a while. Who only passes
/// by, as work in the background between two reads from the disk, is no reason to.
/// </remarks>
/// <param name="time">The clock; only its timestamps are used.</param>
/// <param name="waitedNs">How many nanoseconds the calling thread has been ready to run and had no processor, so far.</param>
internal sealed class FusePolling(TimeProvider time, Func<long> waitedNs)
{
    /// <summary>Requests that are slept for after one that polling did not see come: at first, and at the most.</summary>
    private const int LeastPause = 1;

    private const int LongestPause = 4096;

    /// <summary>Requests in a row that came while they were polled for, from which on waiting is counted: the count costs
    /// a call or two, which fewer requests would not pay for.</summary>
    private const int CountFrom = 8;

    /// <summary>Requests over which waiting is counted; they need not all follow each other.</summary>
    private const int LookPolls = 64;

    /// <summary>Requests that are slept for after the first count that showed that others need the processor; each further
    /// one in a row doubles it, to <see cref="LongestPause"/>. Someone who only passes by costs a few milliseconds of sleep.
    /// </summary>
    private const int LeastRetreat = 4 * LookPolls;

    /// <summary>Others need the processor if the thread waited for one for more than this part of the time (a quarter).
    /// Beside one other that computes it waits for half of it.</summary>
    private const int WaitingParts = 4;

    private readonly long windowTicks = (long)(Window.TotalSeconds * time.TimestampFrequency);
    private int pause;
    private int lastPause;
    private int lastRetreat;

    /// <summary>Requests in a row that came while they were polled for.</summary>
    private int row;

    private long rowWaitedNs;
    private long rowBegan;
    private int counted;
    private long countedWaitedNs;
    private TimeSpan countedTime;

    /// <summary>How long a request is polled for: about what two changes of threads take.</summary>
    public static TimeSpan Window => TimeSpan.FromMicroseconds(40);

    /// <summary>Whether to poll for the next request.</summary>
    public bool ShouldPoll()
    {
        if (pause == 0) { return true; }
        pause--;
        return false;
    }

    /// <summary>A poll begins; answers when.</summary>
    public long Begin() => time.GetTimestamp();

    /// <summary>Whether a poll that began then has lasted long enough.</summary>
    public bool IsOver(long began) => time.GetTimestamp() - began > windowTicks;

    /// <summary>A poll is over.</summary>
    /// <param name="found">It saw a request come.</param>
    public void OnPolled(bool found)
    {
        if (!found)
        {
            EndRow();
            pause = lastPause = lastPause == 0 ? LeastPause : Math.Min(2 * lastPause, LongestPause);
            return;
        }

        lastPause = 0;
        if (++row < CountFrom) { return; }
        if (row == CountFrom)
        {
            rowWaitedNs = waitedNs();
            rowBegan = time.GetTimestamp();
            return;
        }

        if (++counted < LookPolls) { return; }
        EndRow();
        bool othersNeedIt = countedWaitedNs * WaitingParts > countedTime.TotalNanoseconds;
        counted = 0;
        countedWaitedNs = 0;
        countedTime = TimeSpan.Zero;
        lastRetreat = !othersNeedIt ? 0 : lastRetreat == 0 ? LeastRetreat : Math.Min(2 * lastRetreat, LongestPause);
        pause = lastRetreat;
    }

    /// <summary>Adds up what was counted. Only what lies within a row is: who had the processor while the thread slept was no
    /// harm.</summary>
    private void EndRow()
    {
        if (row > CountFrom)
        {
            countedWaitedNs += waitedNs() - rowWaitedNs;
            countedTime += time.GetElapsedTime(rowBegan);
        }

        row = 0;
    }
}
