using KvFs.Core;

namespace KvFs.Client;

/// <summary>What a flush thread is to do next.</summary>
/// <param name="Batch">A batch to write, if one waits.</param>
/// <param name="File">Else a file with full segments.</param>
/// <param name="Aged">Else, with neither: gather what is old, not whatever there is.</param>
internal readonly record struct FlushWork(FlushBatch? Batch, FileState? File, bool Aged);

/// <summary>What waits to be flushed, and the threads' sleep.</summary>
/// <remarks>Thread safe; its lock is the last in the order of locks. Each list holds a file once at the most (the
/// file's own flags say so, under its gate), so they are bounded by the dirty memory.</remarks>
internal sealed class FlushQueue
{
    private readonly object gate = new();
    private readonly Queue<FileState> dirty = new();
    private readonly Queue<FileState> full = new();
    private readonly Queue<FlushBatch> batches = new();
    private bool gatherWanted;
    private bool agedWanted;
    private bool stopped;

    public int DirtyCount
    {
        get
        {
            lock (gate) { return dirty.Count; }
        }
    }

    public void AddDirty(FileState file)
    {
        lock (gate) { dirty.Enqueue(file); }
    }

    public bool TryTakeDirty(out FileState? file)
    {
        lock (gate) { return dirty.TryDequeue(out file); }
    }

    public void AddFull(FileState file)
    {
        lock (gate)
        {
            full.Enqueue(file);
            Monitor.Pulse(gate);
        }
    }

    public void AddBatch(FlushBatch batch)
    {
        lock (gate)
        {
            batches.Enqueue(batch);
            Monitor.Pulse(gate);
        }
    }

    /// <summary>Asks a thread to gather dirty data of many files.</summary>
    public void WantGather(bool aged)
    {
        lock (gate)
        {
            gatherWanted |= !aged;
            agedWanted |= aged;
            Monitor.Pulse(gate);
        }
    }

    public void Stop()
    {
        lock (gate)
        {
            stopped = true;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>The next work; waits for it; false once the queue is stopped.</summary>
    public bool WaitAndTake(out FlushWork work)
    {
        lock (gate)
        {
            for (; ; )
            {
                work = default;
                if (stopped) { return false; }
                if (TryTakeLocked(out work)) { return true; }
                Monitor.Wait(gate);
            }
        }
    }

    /// <summary>The next work, if there is some.</summary>
    public bool TryTake(out FlushWork work)
    {
        lock (gate) { return TryTakeLocked(out work); }
    }

    private bool TryTakeLocked(out FlushWork work)
    {
        work = default;
        if (batches.TryDequeue(out FlushBatch? batch))
        {
            work = new(batch, null, false);
            return true;
        }

        if (full.TryDequeue(out FileState? file))
        {
            work = new(null, file, false);
            return true;
        }

        if (!gatherWanted && !agedWanted) { return false; }
        work = new(null, null, !gatherWanted);
        if (gatherWanted) { gatherWanted = false; }
        else { agedWanted = false; }
        return true;
    }
}
