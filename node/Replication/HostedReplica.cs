using KvFs.Core;

namespace KvFs.Node.Replication;

/// <summary>A shard of which this node has a copy: what decides, what keeps the log, and who waits.</summary>
/// <remarks>The replication driver's lock is held for all but <see cref="Published"/>.</remarks>
internal sealed class HostedReplica(ReplicaLog log, ShardReplica core)
{
    private readonly List<LogWaiter> waiters = [];
    private ulong published = log.Applied.Value;

    public ReplicaLog Log { get; } = log;

    public ShardReplica Core { get; } = core;

    /// <summary>What is committed and may be applied; less is applied while the disk is full.</summary>
    public LogIndex ApplyUpTo { get; set; } = log.Applied;

    /// <summary>How often this node has stopped to serve it: what was begun in one term is not gone on with in another.</summary>
    public ulong Term { get; set; }

    /// <summary>Its log is being synced.</summary>
    public bool IsSyncing { get; set; }

    /// <summary>The snapshot that is being put in the place of all that there was.</summary>
    public ReceivedSnapshot? Installing { get; set; }

    /// <summary>It cannot go on: the store failed.</summary>
    public bool IsBroken { get; set; }

    /// <summary>The last entry that is applied. For any thread.</summary>
    public LogIndex Published => new(Volatile.Read(ref published));

    public void Add(LogWaiter waiter) => waiters.Add(waiter);

    /// <summary>Applies what may be applied, as far as there is space.</summary>
    /// <returns>Ok; NoSpace; else the shard is broken.</returns>
    public Status Apply()
    {
        Status status = Status.Ok;
        while (status == Status.Ok && Log.Applied < ApplyUpTo) { status = Log.ApplyNext(); }
        Volatile.Write(ref published, Log.Applied.Value);
        if (status is not (Status.Ok or Status.NoSpace)) { IsBroken = true; }
        return status;
    }

    /// <summary>A snapshot took the place of all that there was.</summary>
    public void OnInstalled()
    {
        Installing = null;
        ApplyUpTo = Log.Applied;
        Volatile.Write(ref published, Log.Applied.Value);
    }

    /// <summary>Forgets what was applied long ago. Not amid effects: one of them may send it.</summary>
    public void ForgetOld()
    {
        while (Log.ForgetOld(Core.EndedBefore) is { } forgotten) { Core.OnTrimmed(forgotten); }
    }

    /// <summary>Tells the waiters whose entries are where they are to be.</summary>
    public void WakeWaiters()
    {
        for (int at = waiters.Count - 1; at >= 0; at--)
        {
            LogWaiter waiter = waiters[at];
            bool isThere = waiter.WantsDurable ? Core.Durable >= waiter.Index && Core.Committed >= waiter.Index : Log.Applied >= waiter.Index;
            bool isOwed = !waiter.WantsDurable && !isThere && ApplyUpTo >= waiter.Index;
            if (!isThere && !isOwed) { continue; }
            waiters.RemoveAt(at);
            waiter.End(isThere ? Status.Ok : IsBroken ? Status.IoError : Status.Unknown);
        }
    }

    /// <summary>The reign is over, or the shard is broken: nobody here can tell what becomes of the entries that are waited for.
    /// </summary>
    public void EndWaiters(Status status)
    {
        foreach (LogWaiter waiter in waiters) { waiter.End(status); }
        waiters.Clear();
    }
}

/// <summary>A thread that waits for an entry to be applied, or to be durable everywhere.</summary>
internal sealed class LogWaiter
{
    /// <summary>What takes longer does not wait for disks and the network alone.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(50);

    [ThreadStatic]
    private static LogWaiter? own;

    private readonly object gate = new();
    private Status? status;

    public LogIndex Index { get; private set; }

    public bool WantsDurable { get; private set; }

    /// <summary>The calling thread's, which waits for one thing at a time.</summary>
    public static LogWaiter Take(LogIndex index, bool wantsDurable)
    {
        LogWaiter waiter = own ??= new();
        waiter.status = null;
        waiter.Index = index;
        waiter.WantsDurable = wantsDurable;
        return waiter;
    }

    public void End(Status with)
    {
        lock (gate)
        {
            status = with;
            Monitor.Pulse(gate);
        }
    }

    /// <summary>Waits for it: until the entry is where it is to be, or the reign ends, which the other nodes see to.</summary>
    public Status TakeAnswer()
    {
        lock (gate)
        {
            if (status is null) { Monitor.Wait(gate, s_patience); }
            if (status is { } soon) { return soon; }
            using RequestThreads.Place place = RequestThreads.Leave();
            while (status is null) { Monitor.Wait(gate); }
            return status.Value;
        }
    }
}
