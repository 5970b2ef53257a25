using System.Net;
using System.Net.Sockets;
using System.Text;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>Requests that have an end, of a node that does not answer: each is told what is certain, and nothing comes later than what followed it.</summary>
public sealed class DeadlineTests
{
    /// <summary>The time of a request that is to be up.</summary>
    private static readonly TimeSpan s_soon = TimeSpan.FromMilliseconds(200);

    [Fact]
    public async Task A_change_that_is_not_answered_in_time_is_unknown_and_comes_before_all_that_is_changed_later()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc");
        await using RemoteDriveSession session = await OpenAsync(world);
        await using IDriveSession other = await OpenLocalAsync(world);
        world.Proxy.Silence();
        Assert.Equal(Status.Unknown, (await session.CreateAsync("first")).Status);
        Assert.True(session.IsInDoubt);

        // Behind it: not even sent, so that it is certain that it was not done.
        Assert.Equal(Status.Unavailable, (await session.CreateAsync("second")).Status);
        Assert.Equal(Status.Unavailable, (await session.LookupAsync("first")).Status);
        Assert.Equal(Status.Unavailable, await session.SyncAsync());
        Assert.Equal(Status.Unavailable, (await session.GetUsageAsync()).Status);

        // The server has it, or has it soon.
        await UntilAsync(async () => (await other.LookupAsync("first")).IsOk);
        session.RequestTime = null;
        Task<Reply<NodeInfo>> third = session.CreateAsync("third").AsTask();
        Assert.False(third.IsCompleted);
        world.Proxy.Speak();
        Assert.Equal(Status.Ok, (await third).Status);
        Assert.False(session.IsInDoubt);
        Assert.Equal(["first", "third"], await session.NamesAsync());
        Assert.Equal(Status.Exists, (await session.CreateAsync("first")).Status);
    }

    /// <remarks>The next stream brings it again, under its name: it is applied once, and its answer is awaited, though nobody asks for it.</remarks>
    [Fact]
    public async Task What_became_of_a_change_is_found_out_over_the_next_stream()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc");
        await using RemoteDriveSession session = await OpenAsync(world);
        await using IDriveSession other = await OpenLocalAsync(world);
        NodeInfo file = (await other.CreateAsync("file")).Value;
        for (int round = 0; round < 3; round++)
        {
            byte[] name = Encoding.UTF8.GetBytes($"link{round}");
            session.RequestTime = s_soon;
            world.Proxy.Silence();
            ValueTask<Reply<NodeInfo>> linking = session.LinkAsync(new() { Node = file.Id, NewParent = VNodeId.Root, NewName = name });
            Assert.Equal(Status.Unknown, (await linking).Status);
            world.Proxy.Break();
            world.Proxy.Speak();
            await FaultTests.WaitUntilAsync(() => !session.IsInDoubt);
            session.RequestTime = null;
            Assert.Equal((uint)round + 2, (await session.GetAsync(file.Id, CowNumber.Head)).Value.VNode.Nlink);
        }

        // Never sent: never done.
        session.RequestTime = s_soon;
        world.Proxy.Cut();
        Status never = Status.Unknown;
        for (int attempt = 0; never == Status.Unknown; attempt++) { never = (await session.CreateAsync($"never{attempt}")).Status; }
        Assert.Equal(Status.Unavailable, never);
        world.Proxy.Mend();
        session.RequestTime = null;
        Assert.Equal(Status.Ok, (await session.CreateAsync("last")).Status);
        Assert.DoesNotContain("never1", await session.NamesAsync());
    }

    [Fact]
    public async Task What_a_request_brought_that_nobody_waits_for_any_more_is_given_back()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc");
        await using RemoteDriveSession session = await OpenAsync(world);
        await using IDriveSession other = await OpenLocalAsync(world);
        NodeInfo held = (await other.CreateAsync("held")).Value;
        world.Proxy.Silence();
        Assert.Equal(Status.TimedOut, (await session.HoldAsync(held.Id)).Status);
        world.Proxy.Speak();
        await FaultTests.WaitUntilAsync(() => !session.IsInDoubt);
        world.Proxy.Silence();
        Assert.Equal(Status.TimedOut, await session.ReserveAsync(new(1 << 20, 0)));
        world.Proxy.Speak();
        session.RequestTime = null;
        Assert.Equal(Status.Ok, (await session.CreateAsync("next")).Status);
        Reply<UnlinkResult> unlinked = await other.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "held"u8 });
        Assert.Equal(Status.Ok, unlinked.Status);

        // It is given back behind the answer.
        await UntilAsync(async () =>
            !(await other.GetAsync(held.Id, CowNumber.Head)).IsOk && (await other.GetUsageAsync()).Value.UsedBytes == 0);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(9 << 20)]
    public async Task A_block_is_not_written_or_read_for_longer_than_there_is_time(int length)
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc");
        await using RemoteDriveSession session = await OpenAsync(world);
        session.RequestTime = null;
        BlockName name = new(session.Drive, (await session.GrantBlocksAsync(2)).Value);
        byte[] content = new byte[length];
        new Random(length).NextBytes(content);
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(name, content));
        session.RequestTime = s_soon;
        world.Proxy.Silence();
        BlockName next = name with { Id = new(name.Id.Value + 1) };
        byte[] lent = [.. content];
        Assert.Equal(Status.Unavailable, await session.Blocks.WriteBlockAsync(next, lent));
        Array.Clear(lent);
        Assert.Equal(Status.Unavailable, await session.Blocks.ReadBlockAsync(name, 0, lent));
        world.Proxy.Speak();
        session.RequestTime = null;
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(next, content));
        foreach (BlockName each in new[] { name, next })
        {
            byte[] read = new byte[length];
            Assert.Equal(Status.Ok, await session.Blocks.ReadBlockAsync(each, 0, read));
            Assert.True(content.AsSpan().SequenceEqual(read));
        }
    }

    [Fact]
    public async Task A_wait_for_a_lock_has_no_end_but_can_be_cancelled()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc");
        await using RemoteDriveSession session = await OpenAsync(world);
        await using IDriveSession other = await OpenLocalAsync(world);
        NodeInfo file = (await other.CreateAsync("file")).Value;
        FileLock whole = new(0, 0, LockType.Write, new(default, 1), 1);
        Assert.Equal(Status.Ok, await other.SetLockAsync(file.Id, LockSpace.Whole, whole, false, default));
        using CancellationTokenSource impatient = new();
        Task<Status> waiting = session.SetLockAsync(file.Id, LockSpace.Whole, whole, true, impatient.Token).AsTask();
        world.Proxy.Silence();

        // One that was asked for later is given up before.
        Assert.Equal(Status.Unavailable, (await session.LookupAsync("file")).Status);
        Assert.False(waiting.IsCompleted);
        world.Proxy.Speak();
        await impatient.CancelAsync();
        Assert.Equal(Status.Interrupted, await waiting);

        // Also one that has not been sent, because it is not known what became of a change.
        world.Proxy.Silence();
        Assert.Equal(Status.Unknown, (await session.CreateAsync("unknown")).Status);
        using CancellationTokenSource sooner = new();
        waiting = session.SetLockAsync(file.Id, LockSpace.Whole, whole, true, sooner.Token).AsTask();
        await sooner.CancelAsync();
        Assert.Equal(Status.Interrupted, await waiting);
        world.Proxy.Speak();
    }

    [Fact]
    public async Task Only_requests_of_who_shares_a_drive_are_given_up()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc");
        await using RemoteDriveSession session = (RemoteDriveSession)await world.OpenAsync(SessionAccess.Alone);
        Assert.Throws<InvalidOperationException>(() => session.RequestTime = s_soon);
    }

    [Fact]
    public async Task Who_administers_a_pool_that_does_not_answer_is_told_so_in_time()
    {
        // The system answers that somebody listens, and nobody does.
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        string address = $"127.0.0.1:{((IPEndPoint)silent.LocalEndpoint).Port}";
        RemoteClientOptions options = new() { AdminTime = s_soon, LookTime = s_soon };
        using PoolDriveAdmin admin = new([address], Dial, options);
        Assert.Equal(Status.Unavailable, (await admin.ListDrivesAsync(default)).Status);
        Assert.Equal(Status.Unavailable, (await admin.GetDriveAsync("drive", default)).Status);
        Assert.Equal(Status.Unavailable, await admin.DeleteDriveAsync("drive", default));
        Assert.Equal(Status.Unavailable, (await admin.OpenSessionAsync("drive", SessionAccess.Shared, default)).Status);

        // Where it got to somebody, it may have been done.
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc", clientOptions: options with { AdminTime = TimeSpan.FromMinutes(1) });
        RemoteDriveAdmin one = new(world.Channel, options);
        world.Proxy.Silence();
        Assert.Equal(Status.Unknown, await one.DeleteDriveAsync("none", default));
        Assert.Equal(Status.Unavailable, (await one.ListDrivesAsync(default)).Status);
        world.Proxy.Speak();

        static GrpcChannel Dial(string to) => new(GrpcTarget.TcpPlainText("127.0.0.1", IPEndPoint.Parse(to).Port), new());
    }

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(5));
        using CancellationTokenSource patience = new(TimeSpan.FromMinutes(1));
        while (!await holds()) { await timer.WaitForNextTickAsync(patience.Token); }
    }

    private static async Task<RemoteDriveSession> OpenAsync(RemoteWorld world)
    {
        RemoteDriveSession session = (RemoteDriveSession)await world.OpenAsync(SessionAccess.Shared);
        session.RequestTime = s_soon;
        return session;
    }

    private static async Task<IDriveSession> OpenLocalAsync(RemoteWorld world)
    {
        Reply<IDriveSession> opened = await world.Local.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Shared, default);
        Assert.Equal(Status.Ok, opened.Status);
        return opened.Value;
    }
}
