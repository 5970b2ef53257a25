using KvFs.Client.Remote;
using KvFs.Client.Tests;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Remote;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>Connections that break, clients and servers that go: what was answered is there, once, and what is over says so.</summary>
public sealed class FaultTests
{
    private static readonly TimeSpan s_step = TimeSpan.FromSeconds(2);

    /// <summary>A lease of the system's clock whose end is waited for, twice: as brief as one can be that a busy machine still renews.</summary>
    internal static readonly TimeSpan s_briefLease = TimeSpan.FromSeconds(2);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Changes_are_applied_once_however_often_the_stream_breaks(int seed)
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using IDriveSession session = await world.OpenAsync();
        Random random = new(seed);
        int answers = 0;

        // Break when so many more answers have come, each time at another moment of an exchange.
        int next = 3;
        async Task<List<string>> Work(int worker)
        {
            List<string> expected = [];
            for (int step = 0; step < 150; step++)
            {
                string name = $"w{worker}-{step}";
                Assert.Equal(Status.Ok, (await session.CreateAsync(name)).Status);
                if (step % 3 == 0)
                {
                    // Once more would be NotFound.
                    Reply<UnlinkResult> gone = await session.UnlinkAsync(
                        new() { Parent = VNodeId.Root, Name = System.Text.Encoding.UTF8.GetBytes(name) });
                    Assert.Equal(Status.Ok, gone.Status);
                }
                else
                {
                    expected.Add(name);
                }

                Assert.Equal(step % 3 == 0 ? Status.NotFound : Status.Ok, (await session.LookupAsync(name)).Status);
                if (Interlocked.Increment(ref answers) != Volatile.Read(ref next)) { continue; }
                lock (random) { next += random.Next(1, 25); }
                world.Proxy.Break();
            }

            return expected;
        }

        List<string>[] expected = await Task.WhenAll(Enumerable.Range(0, 6).Select(worker => Task.Run(() => Work(worker))));
        Assert.Equal(expected.SelectMany(names => names).Order(StringComparer.Ordinal), await session.NamesAsync());
        Assert.Equal(1, world.Services.SessionCount);
    }

    [Fact]
    public async Task A_session_that_nobody_renews_ends_with_its_lease_and_frees_what_it_had()
    {
        ManualTime clock = new();
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc", options: new() { Lease = TimeSpan.FromSeconds(5) }, serverClock: clock);
        await using IDriveSession session = await world.OpenAsync();
        Reply<NodeInfo> file = await session.CreateAsync("f");
        Assert.Equal(Status.Ok, (await session.HoldAsync(file.Value.Id)).Status);
        Assert.Equal(Status.Ok, await session.ReserveAsync(new(1 << 20, 0)));
        FileLock whole = new(0, 0, LockType.Write, new(default, 1), 1);
        Assert.Equal(Status.Ok, await session.SetLockAsync(file.Value.Id, LockSpace.Whole, whole, false, default));
        ulong usedBefore = (await session.GetUsageAsync()).Value.UsedBytes;
        Assert.Equal(1UL << 20, usedBefore);
        world.Proxy.Cut();

        // Within the lease nobody else is let in.
        clock.Advance(s_step);
        world.Services.Tick();
        Assert.Equal(Status.InUse, (await world.Local.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, default)).Status);
        for (int tick = 0; tick < 2; tick++)
        {
            clock.Advance(s_step);
            world.Services.Tick();
        }

        await WaitUntilAsync(() => world.Services.SessionCount == 0);
        Reply<IDriveSession> other = await world.Local.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, default);
        Assert.Equal(Status.Ok, other.Status);
        await using (other.Value)
        {
            Assert.Equal(0UL, (await other.Value.GetUsageAsync()).Value.UsedBytes);
            Assert.Equal(Status.Ok, await other.Value.SetLockAsync(file.Value.Id, LockSpace.Whole, whole, false, default));
            Reply<UnlinkResult> gone = await other.Value.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "f"u8 });
            Assert.True(gone.Value.Removed);

            // The client hears of it when it is back.
            world.Proxy.Mend();
            Assert.Equal(Status.SessionExpired, await session.SyncAsync());
            await AssertOverAsync(session);
        }
    }

    [Fact]
    public async Task A_client_that_is_back_within_the_lease_goes_on_where_it_was()
    {
        ManualTime clock = new();
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc", options: new() { Lease = TimeSpan.FromSeconds(5) }, serverClock: clock);
        await using IDriveSession session = await world.OpenAsync();
        Reply<NodeInfo> file = await session.CreateAsync("f");
        Assert.Equal(Status.Ok, (await session.HoldAsync(file.Value.Id)).Status);
        world.Proxy.Cut();
        Task<Reply<NodeInfo>> waiting = session.CreateAsync("g").AsTask();
        clock.Advance(s_step);
        world.Services.Tick();
        Assert.False(waiting.IsCompleted);
        world.Proxy.Mend();
        Assert.Equal(Status.Ok, (await waiting).Status);
        Reply<UnlinkResult> gone = await session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "f"u8 });
        Assert.True(gone.Value.Orphaned);
        Assert.Equal(Status.Ok, (await session.GetAsync(file.Value.Id, CowNumber.Head)).Status);
        Assert.Equal(Status.Ok, await session.ReleaseAsync(file.Value.Id));
        Assert.Equal(Status.Stale, (await session.GetAsync(file.Value.Id, CowNumber.Head)).Status);
    }

    [Fact]
    public async Task A_server_that_stood_still_does_not_blame_its_clients()
    {
        ManualTime clock = new();
        await using RemoteWorld world = await RemoteWorld.StartAsync(options: new() { Lease = TimeSpan.FromSeconds(5) }, serverClock: clock);
        await using IDriveSession session = await world.OpenAsync();
        clock.Advance(TimeSpan.FromMinutes(1));
        world.Services.Tick();
        Assert.Equal(Status.Ok, (await session.CreateAsync("f")).Status);
        Assert.Equal(1, world.Services.SessionCount);
    }

    /// <summary>Here the server slept, too: as on one machine.</summary>
    [Fact]
    public async Task A_client_that_was_asleep_for_long_goes_on_where_its_session_still_is()
    {
        SleepingClock clock = new();
        await using RemoteWorld world = await RemoteWorld.StartAsync(
            options: new() { Lease = TimeSpan.FromMilliseconds(400) }, serverClock: new ManualTime(), clientOptions: new() { Clock = clock });
        await using IDriveSession session = await world.OpenAsync();
        Reply<NodeInfo> file = await session.CreateAsync("f");
        clock.Sleep(TimeSpan.FromHours(2));
        while (!((RemoteDriveSession)session).HoldsLease)
        {
            Assert.Equal(Status.Ok, (await session.GetAsync(file.Value.Id, CowNumber.Head)).Status);
        }

        Assert.Equal(Status.Ok, (await session.CreateAsync("g")).Status);
        Assert.Equal(1, world.Services.SessionCount);
    }

    [Fact]
    public async Task A_client_whose_server_is_gone_gives_up_after_two_leases()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc", options: new() { Lease = s_briefLease });
        IDriveSession session = await world.OpenAsync();
        Assert.Equal(Status.Ok, (await session.CreateAsync("f")).Status);
        Dropped dropped = new();
        session.OnRecall(dropped);
        world.Proxy.Cut();

        // Never sent, so not Unknown; a read is never Unknown.
        Assert.Equal(Status.SessionExpired, (await session.LookupAsync("f")).Status);
        await dropped.Done;
        await AssertOverAsync(session);
        await session.DisposeAsync();
    }

    [Fact]
    public async Task A_server_that_stops_ends_its_sessions_and_loses_nothing_that_was_answered()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync(options: new() { Lease = s_briefLease });
        IDriveSession session = await world.OpenAsync();
        List<string> created = [];
        TaskCompletionSource busy = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<List<Status>> working = Task.Run(async () =>
        {
            List<Status> ends = [];
            for (int step = 0; ends.Count < 3; step++)
            {
                string name = $"f{step:D5}";
                Reply<NodeInfo> reply = await session.CreateAsync(name);
                if (reply.IsOk) { created.Add(name); }
                else { ends.Add(reply.Status); }
                if (step == 20) { busy.TrySetResult(); }
            }

            busy.TrySetResult();

            return ends;
        });
        await busy.Task;
        await world.StopServerAsync();
        List<Status> statuses = await working;
        Assert.Contains(statuses[0], (Status[])[Status.Unknown, Status.SessionExpired]);
        Assert.All(statuses.Skip(1), status => Assert.Equal(Status.SessionExpired, status));
        await AssertOverAsync(session);
        await session.DisposeAsync();
        Reply<IDriveSession> local = await world.Local.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, default);
        await using IDriveSession near = local.Value;
        List<string> names = await near.NamesAsync();
        Assert.Empty(created.Except(names));
        Assert.InRange(names.Count, created.Count, created.Count + 1);
    }

    [Fact]
    public async Task A_session_that_is_closed_is_free_at_once_and_answers_nothing_more()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        IDriveSession session = await world.OpenAsync();
        Assert.Equal(Status.InUse, (await world.Admin.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, default)).Status);
        await session.DisposeAsync();
        await using IDriveSession next = await world.OpenAsync();
        await AssertOverAsync(session);
        await session.DisposeAsync();
        Assert.NotEqual(session.Id, next.Id);
    }

    [Fact]
    public async Task A_node_that_cannot_be_reached_is_unavailable_for_questions_and_unknown_for_changes()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc");
        world.Proxy.Cut();
        Assert.Equal(Status.Unavailable, (await world.Admin.ListDrivesAsync(default)).Status);
        Assert.Equal(Status.Unavailable, (await world.Admin.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, default)).Status);
        Assert.Equal(Status.Unknown, await world.Admin.DeleteDriveAsync("none", default));
        using CancellationTokenSource cancelled = new();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => world.Admin.ListDrivesAsync(cancelled.Token).AsTask());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => world.Admin.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, cancelled.Token).AsTask());
        world.Proxy.Mend();
        Assert.Equal(Status.Ok, (await world.Admin.ListDrivesAsync(default)).Status);
    }

    [Fact]
    public async Task A_client_that_stops_reading_is_ended_with_its_lease_and_others_go_on()
    {
        ManualTime clock = new();
        await using RemoteWorld world = await RemoteWorld.StartAsync(options: new() { Lease = TimeSpan.FromSeconds(5) }, serverClock: clock);
        using GrpcChannel channel = world.NewChannel();
        using GrpcCall<V1.ClientMessage, V1.ServerMessage> deaf = channel.Start(
            KvFs.Protocol.Wire.DriveMethods.Session, GrpcCallOptions.None, CancellationToken.None);
        await deaf.Requests!.WriteAsync(new() { Open = new() { Drive = RemoteWorld.Drive, ReadOnly = true } }, default);
        Assert.True(await deaf.WaitToReadAsync());
        Assert.True(deaf.TryRead(out V1.ServerMessage opened));
        for (ulong id = 1; id <= 3000; id++)
        {
            deaf.Requests.Write(new()
            {
                Request = new() { Id = id, Session = opened.Opened.Key.Session, GetUsage = new() },
            });
        }

        await deaf.Requests.FlushAsync(default);
        await using IDriveSession other = await world.OpenAsync(SessionAccess.ReadOnly);
        Assert.Equal(Status.Ok, (await other.GetUsageAsync()).Status);

        // Its requests renew its lease as they are taken from the stream, which on a busy machine may be late.
        for (int tick = 0; tick < 4 || world.Services.SessionCount > 1; tick++)
        {
            Assert.InRange(tick, 0, 1000);
            clock.Advance(s_step);
            Assert.Equal(Status.Ok, (await other.GetUsageAsync()).Status);
            world.Services.Tick();
        }

        Assert.Equal(Status.Ok, (await other.GetUsageAsync()).Status);
    }

    internal static async Task WaitUntilAsync(Func<bool> holds)
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(5));
        using CancellationTokenSource patience = new(TimeSpan.FromMinutes(2));
        while (!holds()) { await timer.WaitForNextTickAsync(patience.Token); }
    }

    private static async Task AssertOverAsync(IDriveSession session)
    {
        Assert.Equal(Status.SessionExpired, (await session.CreateAsync("x")).Status);
        Assert.Equal(Status.SessionExpired, (await session.LookupAsync("x")).Status);
        Assert.Equal(Status.SessionExpired, await session.SyncAsync());
        Assert.Equal(Status.SessionExpired, await session.CommitAsync([], []));
        Assert.Equal(Status.SessionExpired, (await session.GetUsageAsync()).Status);
        Assert.Equal(Status.SessionExpired, (await session.GrantBlocksAsync(1)).Status);
        Assert.Equal(Status.SessionExpired, await session.ReserveAsync(new(1, 1)));
        session.Unreserve(new(1, 1));
        FileLock wanted = new(0, 1, LockType.Read, default, 0);
        Assert.Equal(Status.SessionExpired, await session.SetLockAsync(VNodeId.Root, LockSpace.Range, wanted, true, default));
        Assert.Equal(Status.SessionExpired, await session.Blocks.WriteBlockAsync(new(session.Drive, new(1)), new byte[1]));
        Assert.Equal(Status.SessionExpired, await session.Blocks.ReadBlockAsync(new(session.Drive, new(1)), 0, new byte[1]));
    }

    private sealed class Dropped : ISessionRecall
    {
        private readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Done => done.Task;

        public ValueTask<Status> FlushAsync() => new(Status.Ok);

        public ValueTask InvalidateAsync()
        {
            done.TrySetResult();
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>The system's clock, but for the time that the machine is said to have slept.</summary>
    private sealed class SleepingClock : TimeProvider
    {
        private long slept;

        public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref slept);

        public void Sleep(TimeSpan time) => Interlocked.Add(ref slept, (long)(time.TotalSeconds * TimestampFrequency));
    }
}
