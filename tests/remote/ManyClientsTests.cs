using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>Several clients of one node: what one does the others see, who waits is woken, who is recalled flushes first.</summary>
public sealed class ManyClientsTests
{
    private static readonly CancellationToken s_none = CancellationToken.None;

    [Fact]
    public async Task What_one_client_has_written_the_next_one_reads()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        byte[] content = new byte[3_000_000];
        new Random(1).NextBytes(content);
        VNodeId file;
        await using (IDriveSession writer = await world.OpenAsync())
        {
            file = (await writer.CreateAsync("f")).Value.Id;
            await WriteAsync(writer, file, content);
        }

        // Two at once, who may only read.
        await using IDriveSession first = await world.OpenAsync(SessionAccess.ReadOnly);
        await using IDriveSession second = await world.OpenAsync(SessionAccess.ReadOnly);
        foreach (IDriveSession reader in (IDriveSession[])[first, second])
        {
            Assert.Equal(["f"], await reader.NamesAsync());
            Assert.Equal(content, await ReadAsync(reader, file));
            Assert.Equal(Status.ReadOnly, (await reader.CreateAsync("g")).Status);
            Assert.Equal(Status.ReadOnly, await reader.Blocks.WriteBlockAsync(new(reader.Drive, new(9)), new byte[1]));
        }

        Assert.Equal(Status.InUse, (await world.Admin.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, s_none)).Status);
    }

    [Fact]
    public async Task A_restore_that_another_client_asks_for_is_seen_and_told_by_recall()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using (IDriveSession writer = await world.OpenAsync())
        {
            Assert.Equal(Status.Ok, (await writer.CreateAsync("old")).Status);
            Assert.Equal(Status.Ok, (await world.Admin.CreateSnapshotAsync(RemoteWorld.Drive, "s", s_none)).Status);
            Assert.Equal(Status.Ok, (await writer.CreateAsync("new")).Status);
        }

        await using IDriveSession first = await world.OpenAsync(SessionAccess.ReadOnly);
        await using IDriveSession second = await world.OpenAsync(SessionAccess.ReadOnly);
        Recalled recalled = new();
        second.OnRecall(recalled);
        Assert.Equal(["new", "old"], await first.NamesAsync());
        Assert.Equal(Status.Ok, await world.Admin.RestoreAsync(RemoteWorld.Drive, "s", "/", s_none));
        Assert.Equal(["flush", "invalidate"], recalled.Asked);
        Assert.Equal(["old"], await first.NamesAsync());
        Assert.Equal(["old"], await second.NamesAsync());
    }

    [Fact]
    public async Task A_client_that_is_busy_flushes_before_a_snapshot_is_taken()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using IDriveSession session = await world.OpenAsync();
        using CancellationTokenSource stop = new();
        Recalled recalled = new() { OnFlush = async () => (await session.CreateAsync("flushed")).Status };
        session.OnRecall(recalled);
        int done = 0;
        Task[] busy = [.. Enumerable.Range(0, 20).Select(worker => Task.Run(async () =>
        {
            for (int step = 0; !stop.IsCancellationRequested; step++)
            {
                Assert.Equal(Status.Ok, (await session.CreateAsync($"w{worker}-{step}")).Status);
                Assert.Equal(Status.Ok, await session.SyncAsync());
                Interlocked.Increment(ref done);
            }
        }))];
        await FaultTests.WaitUntilAsync(() => Volatile.Read(ref done) > 50);
        Reply<SnapshotInfo> snapshot = await world.Admin.CreateSnapshotAsync(RemoteWorld.Drive, "s", s_none);
        await stop.CancelAsync();
        await Task.WhenAll(busy);
        Assert.Equal(Status.Ok, snapshot.Status);
        Reply<NodeInfo> seen = await session.LookupAsync(VNodeId.Root, "flushed"u8, snapshot.Value.At);
        Assert.Equal(Status.Ok, seen.Status);

        // What cannot be flushed is not retained as if it was.
        recalled.OnFlush = () => new(Status.NoSpace);
        Assert.Equal(Status.NoSpace, (await world.Admin.CreateSnapshotAsync(RemoteWorld.Drive, "t", s_none)).Status);
    }

    [Fact]
    public async Task A_recall_outlives_the_stream_and_a_client_that_does_not_answer_does_not_outlive_its_lease()
    {
        KvFs.Client.Tests.ManualTime clock = new();
        await using RemoteWorld world = await RemoteWorld.StartAsync(
            options: new() { Lease = TimeSpan.FromSeconds(5), RecallTime = TimeSpan.FromSeconds(6) }, serverClock: clock);
        IDriveSession session = await world.OpenAsync();
        TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<Status> flushed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Recalled recalled = new()
        {
            OnFlush = () =>
            {
                asked.TrySetResult();
                return new(flushed.Task);
            },
        };
        session.OnRecall(recalled);
        Task<Reply<SnapshotInfo>> first = world.Local.CreateSnapshotAsync(RemoteWorld.Drive, "s", s_none).AsTask();
        await asked.Task;
        world.Proxy.Break();
        Assert.Equal(Status.Ok, await session.SyncAsync());
        Assert.False(first.IsCompleted);
        flushed.SetResult(Status.Ok);
        Assert.Equal(Status.Ok, (await first).Status);

        // It renews, but does not do what it is asked for.
        flushed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<Reply<SnapshotInfo>> second = world.Local.CreateSnapshotAsync(RemoteWorld.Drive, "t", s_none).AsTask();
        await asked.Task;
        for (int tick = 0; tick < 4; tick++)
        {
            clock.Advance(TimeSpan.FromSeconds(2));
            await session.SyncAsync();
            world.Services.Tick();
        }

        Assert.Equal(Status.Ok, (await second).Status);
        Assert.Equal(Status.SessionExpired, await session.SyncAsync());
        flushed.SetResult(Status.Ok);
        await session.DisposeAsync();
    }

    [Fact]
    public async Task Who_waits_for_a_lock_is_woken_interrupted_or_told_across_a_break()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using IDriveSession first = await world.OpenAsync(SessionAccess.ReadOnly);
        IDriveSession second = await world.OpenAsync(SessionAccess.ReadOnly);
        FileLock wanted = new(0, 9, LockType.Write, new(default, 1), 1);
        Assert.Equal(Status.Ok, await first.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, true, s_none));
        Assert.Equal(Status.Locked, await second.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, false, s_none));
        Assert.Equal(first.Id, (await second.TestLockAsync(VNodeId.Root, LockSpace.Range, wanted)).Value.Owner.Session);

        using CancellationTokenSource source = new();
        Task<Status> interrupted = second.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, true, source.Token).AsTask();
        Assert.Equal(Status.Ok, await second.SyncAsync());
        await source.CancelAsync();
        Assert.Equal(Status.Interrupted, await interrupted);
        Assert.Equal(
            Status.Interrupted, await second.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, true, source.Token));

        Task<Status> granted = second.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, true, s_none).AsTask();
        for (int round = 0; round < 5; round++)
        {
            world.Proxy.Break();
            Assert.Equal(Status.Ok, await second.SyncAsync());
        }

        Assert.False(granted.IsCompleted);
        Assert.Equal(Status.Ok, await first.UnlockAllAsync(VNodeId.Root, new(first.Id, 1)));
        Assert.Equal(Status.Ok, await granted);
        Assert.Equal(Status.Locked, await first.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, false, s_none));

        // A session that ends gives its locks back, and does not wait any more itself.
        Task<Status> waiting = first.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, true, s_none).AsTask();
        await second.DisposeAsync();
        Assert.Equal(Status.Ok, await waiting);
    }

    [Fact]
    public async Task A_session_that_ends_while_it_waits_for_a_lock_ends()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using IDriveSession first = await world.OpenAsync(SessionAccess.ReadOnly);
        IDriveSession second = await world.OpenAsync(SessionAccess.ReadOnly);
        FileLock wanted = new(0, 9, LockType.Write, new(default, 1), 1);
        Assert.Equal(Status.Ok, await first.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, true, s_none));
        Task<Status> waiting = second.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, true, s_none).AsTask();
        Assert.Equal(Status.Ok, await second.SyncAsync());
        await second.DisposeAsync();
        Assert.Contains(await waiting, (Status[])[Status.Interrupted, Status.SessionExpired]);
    }

    [Fact]
    public async Task More_requests_at_once_than_may_be_on_their_way_all_get_their_answers()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using IDriveSession session = await world.OpenAsync();
        FileLock held = new(0, 9, LockType.Write, new(default, 1), 1);
        Assert.Equal(Status.Ok, await session.SetLockAsync(VNodeId.Root, LockSpace.Range, held, true, s_none));
        Task<Status>[] waiting = [.. Enumerable.Range(2, 600).Select(owner => session.SetLockAsync(
            VNodeId.Root, LockSpace.Range, held with { Owner = new(default, (ulong)owner) }, true, s_none).AsTask())];
        Reply<NodeInfo>[] created = await Task.WhenAll(Enumerable.Range(0, 3000).Select(
            async number => await session.CreateAsync($"f{number}")));
        Assert.All(created, reply => Assert.Equal(Status.Ok, reply.Status));
        world.Proxy.Break();
        Assert.Equal(3000, (await session.NamesAsync()).Count);

        // Those that are refused hear of it before what was asked behind them, and go on when a thread has time for that.
        await FaultTests.WaitUntilAsync(() => waiting.Count(each => each.IsCompletedSuccessfully) >= 600 - 512);
        Assert.Equal(600 - 512, waiting.Count(each => each.IsCompletedSuccessfully));
        Assert.All(waiting.Skip(512), each => Assert.True(each.IsCompletedSuccessfully));

        // Each lets the next one have it.
        Assert.Equal(Status.Ok, await session.UnlockAllAsync(VNodeId.Root, new(session.Id, 1)));
        HashSet<Task<Status>> left = [.. waiting.Take(512)];
        while (left.Count > 0)
        {
            Task<Status> next = await Task.WhenAny(left);
            Assert.Equal(Status.Ok, await next);
            left.Remove(next);
            ulong owner = (ulong)Array.IndexOf(waiting, next) + 2;
            Assert.Equal(Status.Ok, await session.UnlockAllAsync(VNodeId.Root, new(session.Id, owner)));
        }
    }

    private static async Task WriteAsync(IDriveSession session, VNodeId file, byte[] content)
    {
        const int BlockBytes = 1 << 20;
        uint count = (uint)((content.Length + BlockBytes - 1) / BlockBytes);
        BlockId first = (await session.GrantBlocksAsync(count)).Value;
        FileCommit commit = new() { Node = file, MinSize = (ulong)content.Length, ModifyTime = new(1) };
        for (uint at = 0; at < count; at++)
        {
            int from = (int)at * BlockBytes;
            byte[] part = content[from..Math.Min(content.Length, from + BlockBytes)];
            BlockName name = new(session.Drive, new(first.Value + at));
            Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(name, part));
            Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(name, part));
            part[0]++;
            Assert.Equal(Status.Exists, await session.Blocks.WriteBlockAsync(name, part));
            commit.Runs.Add(new((ulong)from, (uint)part.Length, SliceKind.Block, name, 0));
        }

        List<NodeInfo> results = [];
        Assert.Equal(Status.Ok, await session.CommitAsync([commit], results));
        Assert.Equal((ulong)content.Length, results[0].VNode.Size);
        Assert.Equal(Status.Ok, await session.SyncAsync());
    }

    private static async Task<byte[]> ReadAsync(IDriveSession session, VNodeId file)
    {
        Reply<NodeInfo> info = await session.GetAsync(file, CowNumber.Head);
        byte[] content = new byte[info.Value.VNode.Size];
        Reply<ClusterMap> map = await session.GetClusterAsync(file, 0, CowNumber.Head);
        foreach (Slice run in map.Value.Runs)
        {
            session.Blocks.Prefetch(run.Block, run.SourceOffset, run.Length);
            Memory<byte> part = content.AsMemory((int)run.Offset, (int)run.Length);
            Assert.Equal(Status.Ok, await session.Blocks.ReadBlockAsync(run.Block, run.SourceOffset, part));
        }

        Assert.Equal(Status.Invalid, await session.Blocks.ReadBlockAsync(map.Value.Runs[0].Block, 1 << 20, new byte[1]));
        Assert.Equal(Status.NotFound, await session.Blocks.ReadBlockAsync(new(session.Drive, new(1UL << 40)), 0, new byte[1]));
        return content;
    }

    private sealed class Recalled : ISessionRecall
    {
        public List<string> Asked { get; } = [];

        public Func<ValueTask<Status>> OnFlush { get; set; } = () => new(Status.Ok);

        public ValueTask<Status> FlushAsync()
        {
            Asked.Add("flush");
            return OnFlush();
        }

        public ValueTask InvalidateAsync()
        {
            Asked.Add("invalidate");
            return ValueTask.CompletedTask;
        }
    }
}
