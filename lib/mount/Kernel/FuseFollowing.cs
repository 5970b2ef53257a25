namespace KvFs.Mount;

/// <summary>Decides when a worker keeps to the processor of the program that it serves.</summary>
/// <remarks>
/// One worker's; not thread safe. Why: a program that asks one thing after the other does nothing while it is answered, so that
/// both can use one processor in turn, and an answer costs two changes of threads. From another processor the answer has to wake
/// that of the program, which went to sleep meanwhile; in a virtual machine that takes longer than the work itself, and polling
/// (<see cref="FusePolling"/>) saves the way there only.
/// <para>It must not take time from others, nor hold on to what does not help: it lets go when another thread asks, when much
/// data is moved (two processors copy it faster), when the scheduler takes the program elsewhere, because there are processors
/// enough, and when it waits for the processor most of the time, because somebody else needs it. After the last two it tries
/// again ever more rarely.</para>
/// </remarks>
/// <param name="processors">Where threads run.</param>
/// <param name="time">The clock; only its timestamps are used.</param>
/// <param name="waitedNs">How many nanoseconds the calling thread has been ready to run and had no processor, so far.</param>
internal sealed class FuseFollowing(IThreadProcessors processors, TimeProvider time, Func<long> waitedNs)
{
    /// <summary>Small requests of one thread in a row before it is followed.</summary>
    private const int LeastRow = 16;

    /// <summary>Requests after a move until it is looked whether the program stayed.</summary>
    private const int Trial = 4;

    /// <summary>Requests between two looks at a program that is followed, and before the next attempt at one that was lost;
    /// each further loss in a row doubles it, to <see cref="LongestPause"/>.</summary>
    private const int LeastPause = 64;

    private const int LongestPause = 8192;

    /// <summary>Somebody else needs the processor if the worker waited for it for more than this many quarters of the time. The
    /// program itself, which goes on for a little when it has asked, takes one to two.</summary>
    private const int WaitingQuarters = 3;

    private uint thread;
    private int row;
    private int nextLook = LeastRow;
    private int pause = LeastPause;

    /// <summary>The processor that the worker keeps to; -1: none.</summary>
    private int common = -1;

    private long lookedAt;
    private long lookedWaitedNs;

    /// <summary>Whether the worker keeps to the processor of the program that it serves. Then it must not poll: the program
    /// cannot ask while the processor is busy.</summary>
    public bool IsBeside => common >= 0;

    /// <summary>A request came that a program waits for.</summary>
    /// <param name="asker">The thread that asks; 0: not known.</param>
    /// <param name="isShort">It moves little data.</param>
    public void OnRequest(uint asker, bool isShort)
    {
        if (asker != thread || !isShort) { Begin(asker); }
        if (asker == 0 || !isShort || ++row < nextLook) { return; }
        int theirs = processors.Of(thread);
        if (common < 0) { Join(theirs); }
        else if (theirs == common && !IsNeededByOthers())
        {
            pause = LeastPause;
            Note(pause);
        }
        else
        {
            Leave();
            pause = Math.Min(2 * pause, LongestPause);
            nextLook = row + pause;
        }
    }

    /// <summary>Another program is served, or in another way.</summary>
    private void Begin(uint asker)
    {
        Leave();
        thread = asker;
        row = 0;
        nextLook = pause == LeastPause ? LeastRow : pause;
    }

    private void Join(int processor)
    {
        if (processor < 0 || !processors.TryKeep(processor))
        {
            nextLook = row + LongestPause;
            return;
        }

        common = processor;
        Note(Trial);
    }

    private void Leave()
    {
        if (common < 0) { return; }
        common = -1;
        processors.Release();
    }

    private void Note(int requests)
    {
        nextLook = row + requests;
        lookedAt = time.GetTimestamp();
        lookedWaitedNs = waitedNs();
    }

    private bool IsNeededByOthers() =>
        (waitedNs() - lookedWaitedNs) * 4 > time.GetElapsedTime(lookedAt).TotalNanoseconds * WaitingQuarters;
}
