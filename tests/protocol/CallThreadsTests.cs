using KvFs.Protocol.BlockChannel.Server;

namespace KvFs.Protocol.Tests;

/// <summary>The threads that call handlers.</summary>
public sealed class CallThreadsTests
{
    [Fact]
    public void What_is_posted_when_every_thread_has_ended_is_called_all_the_same()
    {
        using CallThreads threads = new(1);
        using Call before = new();
        using Call after = new();
        threads.Post(before);
        Thread only = before.Wait();
        threads.Dispose();
        only.Join();
        threads.Post(after);
        Assert.NotSame(only, after.Wait());
    }

    /// <summary>Tells which thread ran it.</summary>
    private sealed class Call : ICall, IDisposable
    {
        private readonly ManualResetEventSlim done = new();
        private Thread? thread;

        public void Run()
        {
            thread = Thread.CurrentThread;
            done.Set();
        }

        public Thread Wait()
        {
            done.Wait(CancellationToken.None);
            return thread!;
        }

        public void Dispose() => done.Dispose();
    }
}
