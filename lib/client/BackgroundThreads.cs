namespace KvFs.Client;

/// <summary>Threads of the client's own: what they end with.</summary>
internal static class BackgroundThreads
{
    /// <param name="name">What the system shows of them.</param>
    /// <param name="count">How many.</param>
    /// <param name="work">What each does until it ends.</param>
    public static Task[] Start(string name, int count, Action work)
    {
        void Run()
        {
            Thread.CurrentThread.Name = $"kvfs-{name}";
            work();
        }

        Task[] threads = new Task[count];
        for (int at = 0; at < count; at++)
        {
            threads[at] = Task.Factory.StartNew(
                Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }

        return threads;
    }

    /// <summary>Ends with all of them, or failed as soon as one fails.</summary>
    public static async Task EndOf(IEnumerable<Task> threads)
    {
        List<Task> left = [.. threads];
        while (left.Count > 0)
        {
            Task ended = await Task.WhenAny(left);
            await ended;
            left.Remove(ended);
        }
    }
}
