namespace KvFs.Node;

/// <summary>Threads that carry out requests. A request may wait for the disk, or for a shard's gate, with its thread: on the
/// runtime's few threads it would keep the connections waiting.</summary>
/// <remarks>Thread safe. Threads are made when all are busy, and end when they have had nothing to do for a while.</remarks>
internal sealed class RequestThreads(int max) : IDisposable
{
    /// <summary>Threads that wait and have their places taken, for each that may work.</summary>
    private const int MaxPlaces = 16;

    private static readonly TimeSpan s_idleTime = TimeSpan.FromSeconds(10);

    [ThreadStatic]
    private static RequestThreads? own;

    // Not a Lock: threads wait for pulses of it.
    private readonly object gate = new();
    private readonly Queue<IThreadPoolWorkItem> queue = [];
    private int threads;
    private int idle;

    /// <summary>Threads that wait for others.</summary>
    private int waiting;

    private bool stopped;

    /// <summary>Has something done, in the order of the calls as far as threads are free. It must not throw.</summary>
    /// <exception cref="ObjectDisposedException">Nothing is done any more.</exception>
    public void Run(IThreadPoolWorkItem work)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(stopped, this);
            queue.Enqueue(work);
            if (queue.Count <= idle)
            {
                Monitor.Pulse(gate);
                return;
            }

            if (threads >= Allowed) { return; }
            threads++;
        }

        Start();
    }

    private int Allowed => max + Math.Min(waiting, MaxPlaces * max);

    /// <summary>The calling thread begins to wait for what may be long in coming, and has waited when this is disposed: if it is one of
    /// a few, others take its place meanwhile, so that what hangs does not hold up what does not.</summary>
    public static Place Leave() => new(own);

    private void NoteWaiting(int change)
    {
        lock (gate)
        {
            waiting += change;
            if (stopped || queue.Count <= idle || threads >= Allowed) { return; }
            threads++;
        }

        Start();
    }

    private void Start()
    {
        try
        {
            new Thread(Work) { IsBackground = true, Name = "kvfs-request" }.Start();
        }
        catch (OutOfMemoryException)
        {
            // The system lets this process have no more of them: those that there are go on.
            lock (gate)
            {
                threads--;
                if (threads == 0) { throw; }
            }
        }
    }

    /// <summary>Has something done that answers.</summary>
    public Task<T> RunAsync<T>(Func<ValueTask<T>> work)
    {
        Answering<T> item = new(work);
        Run(item);
        return item.Answer;
    }

    /// <summary>What was asked for is still done; threads end when there is nothing left.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            stopped = true;
            Monitor.PulseAll(gate);
        }
    }

    private void Work()
    {
        own = this;
        while (TryTake() is { } work) { work.Execute(); }
    }

    private IThreadPoolWorkItem? TryTake()
    {
        lock (gate)
        {
            while (queue.Count == 0 || threads > Allowed)
            {
                if (threads > Allowed)
                {
                    // It may have been woken for something.
                    if (queue.Count > 0) { Monitor.Pulse(gate); }
                    threads--;
                    return null;
                }

                bool pulsed = false;
                if (!stopped)
                {
                    idle++;
                    pulsed = Monitor.Wait(gate, s_idleTime);
                    idle--;
                }

                if (!pulsed && queue.Count == 0)
                {
                    threads--;
                    return null;
                }
            }

            return queue.Dequeue();
        }
    }

    /// <summary>Where a thread was that waits.</summary>
    internal readonly ref struct Place
    {
        private readonly RequestThreads? threads;

        internal Place(RequestThreads? threads)
        {
            this.threads = threads;
            threads?.NoteWaiting(1);
        }

        public void Dispose() => threads?.NoteWaiting(-1);
    }

    private sealed class Answering<T>(Func<ValueTask<T>> work) : IThreadPoolWorkItem
    {
        private readonly TaskCompletionSource<T> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<T> Answer => answer.Task;

        public void Execute() => _ = WorkAsync();

        private async Task WorkAsync()
        {
            try
            {
                answer.SetResult(await work());
            }
            catch (Exception e)
            {
                answer.SetException(e);
            }
        }
    }
}
