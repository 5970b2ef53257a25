using KvFs.Core;
using KvFs.Node.Shards;

namespace KvFs.Node.Tests;

/// <summary>What hangs holds up what hangs with it, and nothing else.</summary>
public sealed class RequestThreadsTests : IDisposable
{
    private const int Max = 2;

    private static readonly TimeSpan s_hang = TimeSpan.FromMinutes(1);

    private readonly RequestThreads threads = new(Max);
    private readonly ManualResetEventSlim release = new();

    public void Dispose()
    {
        release.Set();
        threads.Dispose();
        release.Dispose();
    }

    [Fact]
    public async Task Others_take_the_place_of_those_that_wait()
    {
        Task<int>[] waiting = [.. Enumerable.Range(0, 10 * Max).Select(number => threads.RunAsync(() =>
        {
            using RequestThreads.Place place = RequestThreads.Leave();
            release.Wait();
            return new ValueTask<int>(number);
        }))];
        Assert.Equal(7, await threads.RunAsync(static () => new ValueTask<int>(7)).WaitAsync(s_hang));
        Assert.All(waiting, static one => Assert.False(one.IsCompleted));
        release.Set();
        Assert.Equal(Enumerable.Range(0, 10 * Max), await Task.WhenAll(waiting).WaitAsync(s_hang));
    }

    [Fact]
    public async Task A_shard_whose_log_hangs_holds_up_no_other_one()
    {
        Shard stuck = new(new(1), new HangingLog(release));
        Shard well = new(new(2), new HangingLog(null));
        Task<Status>[] hanging = [.. Enumerable.Range(0, 10 * Max).Select(_ => CommitAsync(stuck))];
        Assert.Equal(Status.Ok, await CommitAsync(well).WaitAsync(s_hang));
        Assert.All(hanging, static one => Assert.False(one.IsCompleted));
        release.Set();
        Assert.All(await Task.WhenAll(hanging).WaitAsync(s_hang), static status => Assert.Equal(Status.Ok, status));
    }

    [Fact]
    public void A_thread_that_is_none_of_these_may_wait_as_well()
    {
        using RequestThreads.Place place = RequestThreads.Leave();
        Shard well = new(new(2), new HangingLog(null));
        using (well.Enter()) { Assert.True(well.IsOwned); }
        Assert.False(well.IsOwned);
    }

    private Task<Status> CommitAsync(Shard shard) => threads.RunAsync(() =>
    {
        using (shard.Enter()) { return new ValueTask<Status>(shard.Commit(default, new RecordBatch())); }
    });

    /// <summary>A log that takes an entry once it is let.</summary>
    private sealed class HangingLog(ManualResetEventSlim? release) : IShardLog
    {
        public Epoch Epoch => default;

        public bool IsBroken => false;

        public bool IsOwed => false;

        public bool CanServe => true;

        public LogIndex Published => default;

        public LogPosition Position => default;

        public bool Has(LogPosition answered) => true;

        public Status Resume() => Status.Ok;

        public Status Begin(DriveId drive, RecordBatch changes, bool wantsDurable, out LogIndex index)
        {
            index = new(1);
            return Status.Ok;
        }

        public Status Await(LogIndex index)
        {
            using RequestThreads.Place place = RequestThreads.Leave();
            release?.Wait();
            return Status.Ok;
        }

        public Status Sync(LogIndex upTo) => Status.Ok;
    }
}
