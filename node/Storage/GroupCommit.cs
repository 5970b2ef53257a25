using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Lets everybody who needs a sync share one: a caller is served by a sync that started after it asked.</summary>
/// <remarks>
/// Thread safe. The first caller runs the sync on its own thread; who comes meanwhile waits for the next one, which one of
/// them runs for all. Uncontended it is two uncontended lock operations around the sync; it never allocates.
/// A failure (anything but Ok and NoSpace) latches: every waiting and later caller gets it, and the sync never runs again,
/// because after a failed sync the kernel may call lost pages clean.
/// </remarks>
/// <param name="sync">Makes durable what was written before it started. Must not call back into this object.</param>
public sealed class GroupCommit(Func<Status> sync)
{
    private readonly object gate = new();
    private bool running;
    private ulong started;
    private ulong finished;
    private Status lastResult = Status.Ok;
    private volatile Status latched = Status.Ok;
    private long runs;

    /// <summary>Whether a sync has failed for good.</summary>
    public bool IsFailed => latched != Status.Ok;

    /// <summary>How often the sync ran.</summary>
    public long Runs => Volatile.Read(ref runs);

    /// <summary>Returns once a sync that started after this call has ended, with its result.</summary>
    public Status Commit()
    {
        lock (gate)
        {
            ulong wanted = started + 1;
            while (finished < wanted)
            {
                if (latched != Status.Ok) { return latched; }
                if (running)
                {
                    Monitor.Wait(gate);
                }
                else
                {
                    Lead();
                }
            }

            return latched != Status.Ok ? latched : lastResult;
        }
    }

    private void Lead()
    {
        running = true;
        started++;
        Status result = Status.IoError;
        Monitor.Exit(gate);
        try
        {
            result = sync();
        }
        finally
        {
            Monitor.Enter(gate);
            running = false;
            finished = started;
            lastResult = result;
            runs++;
            if (result is not (Status.Ok or Status.NoSpace)) { latched = result; }
            Monitor.PulseAll(gate);
        }
    }
}
