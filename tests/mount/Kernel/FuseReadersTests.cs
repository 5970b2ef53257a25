using System.Collections.Concurrent;

namespace KvFs.Mount.Tests.Kernel;

public sealed class FuseReadersTests
{
    [Fact]
    public async Task One_reads_as_long_as_one_keeps_up()
    {
        using Workers workers = new(4);
        workers.WaitForActive(1);

        // A busy machine may keep the one from its work, which is what others are called for. They rest again when that is over.
        HashSet<int> readers = [];
        long began = TimeProvider.System.GetTimestamp();
        do
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < MountedFileSystem.Patience, $"{readers.Count} read");
            readers.Clear();
            for (int at = 0; at < 100; at++) { await workers.Ask(() => readers.Add(Environment.CurrentManagedThreadId)); }
        }
        while (readers.Count > 1 || workers.Readers.Active > 1);
    }

    [Fact]
    public async Task Another_one_reads_while_one_waits_for_a_disk()
    {
        using Workers workers = new(4);
        workers.WaitForActive(1);
        using ManualResetEventSlim disk = new();
        Task reading = workers.Ask(() =>
        {
            workers.Readers.BeforeWait();
            disk.Wait();
        });
        await workers.Ask(disk.Set);
        await reading;
    }

    [Fact]
    public async Task Another_one_reads_while_one_is_stuck_where_nobody_expected_it()
    {
        using Workers workers = new(4);
        workers.WaitForActive(1);
        for (int round = 0; round < 20; round++)
        {
            using ManualResetEventSlim gate = new();
            Task stuck = workers.Ask(gate.Wait);
            await workers.Ask(gate.Set);
            await stuck;
        }
    }

    [Fact]
    public async Task All_can_be_stuck_but_one()
    {
        using Workers workers = new(4);
        using ManualResetEventSlim gate = new();
        Task[] stuck = [.. Enumerable.Range(0, 3).Select(_ => workers.Ask(gate.Wait))];
        await workers.Ask(gate.Set);
        await Task.WhenAll(stuck);
    }

    [Fact]
    public void One_more_reads_when_those_that_read_hardly_ever_wait_and_rests_again_later()
    {
        ManualClock clock = new();
        FuseReaders readers = new(workers: 2, clock);
        using ManualResetEventSlim isUp = new();
        long began = readers.BeforeRead();
        Thread other = new(() =>
        {
            readers.BeforeRead();
            isUp.Set();
        });
        other.Start();
        SpinWait.SpinUntil(() => readers.Active == 1);
        Assert.False(isUp.IsSet);

        // Of a hundred microseconds, one is spent waiting.
        for (int at = 0; at < 100 && !isUp.IsSet; at++)
        {
            clock.Advance(TimeSpan.FromMicroseconds(1));
            readers.AfterRead(began);
            clock.Advance(TimeSpan.FromMicroseconds(99));
            began = readers.BeforeRead();
            if (readers.Active == 2) { break; }
        }

        isUp.Wait();
        other.Join();
        Assert.Equal(2, readers.Active);

        // Time goes, and nothing called for two: the one that comes back rests, until the end.
        clock.Advance(FuseReaders.Decay * 2);
        readers.AfterRead(began);
        Thread back = new(() => readers.BeforeRead());
        back.Start();
        SpinWait.SpinUntil(() => readers.Active == 1);
        readers.End();
        back.Join();
    }

    /// <summary>Threads that take work as workers take requests.</summary>
    private sealed class Workers : IDisposable
    {
        private readonly BlockingCollection<(Action Work, TaskCompletionSource Done)> requests = [];
        private readonly List<Thread> threads = [];

        public Workers(int count)
        {
            Readers = new(count, TimeProvider.System);
            for (int at = 0; at < count; at++)
            {
                Thread thread = new(Serve);
                thread.Start();
                threads.Add(thread);
            }
        }

        public FuseReaders Readers { get; }

        public Task Ask(Action work)
        {
            TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
            requests.Add((work, done));
            return done.Task;
        }

        public void WaitForActive(int count) => SpinWait.SpinUntil(() => Readers.Active == count);

        public void Dispose()
        {
            requests.CompleteAdding();
            foreach (Thread thread in threads) { thread.Join(); }
            requests.Dispose();
        }

        private void Serve()
        {
            for (; ; )
            {
                long began = Readers.BeforeRead();
                bool taken = requests.TryTake(out (Action Work, TaskCompletionSource Done) request, Timeout.Infinite);
                Readers.AfterRead(began);
                if (!taken) { break; }
                request.Work();
                request.Done.SetResult();
            }

            Readers.End();
        }
    }
}
