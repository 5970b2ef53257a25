namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>Something to be done on a thread that may wait for a disk. Does not throw.</summary>
internal interface ICall
{
    void Run();
}

/// <summary>Threads that call the handler, started as they are needed.</summary>
/// <remarks>Not the thread pool: it takes long to notice that its threads wait for a disk, and the network waits
/// meanwhile. Calls begin in the order in which they came. One thread is woken at a time, and wakes the next if there is more to
/// do: short calls that come together are done by one that is awake before another would be. What waits is bounded by what
/// connections may have in flight.</remarks>
internal sealed class CallThreads(int count) : IDisposable
{
    private readonly object gate = new();
    private readonly Queue<ICall> waiting = new();
    private int threads;
    private int idle;
    private bool isWaking;
    private bool isDisposed;

    public void Post(ICall call)
    {
        lock (gate)
        {
            waiting.Enqueue(call);
            WakeOne();
        }
    }

    /// <summary>Ends the threads behind what was posted. What is posted later is called, too, by a thread that then ends.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            isDisposed = true;
            Monitor.PulseAll(gate);
        }
    }

    private void Work()
    {
        bool isWoken = true;
        while (Next(isWoken) is { } call)
        {
            isWoken = false;
            call.Run();
        }
    }

    private ICall? Next(bool isWoken)
    {
        lock (gate)
        {
            while (true)
            {
                if (isWoken) { isWaking = false; }
                if (waiting.TryDequeue(out ICall? call))
                {
                    if (waiting.Count > 0) { WakeOne(); }
                    return call;
                }

                if (isDisposed)
                {
                    threads--;
                    return null;
                }

                idle++;
                Monitor.Wait(gate);
                idle--;
                isWoken = true;
            }
        }
    }

    private void WakeOne()
    {
        if (isWaking) { return; }
        if (idle > 0)
        {
            isWaking = true;
            Monitor.Pulse(gate);
        }
        else if (threads < count)
        {
            isWaking = true;
            threads++;
            new Thread(Work) { IsBackground = true, Name = "kvfs-blocks" }.UnsafeStart();
        }
    }
}
