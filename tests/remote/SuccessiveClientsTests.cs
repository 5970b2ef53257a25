using System.Collections.Concurrent;
using System.Text;
using KvFs.Client;
using KvFs.Client.Tests;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>A shared drive goes on under a new session when one has expired: what was open is lost, and all else is there.</summary>
public sealed class SuccessiveClientsTests
{
    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(5);

    private static readonly FileLock s_whole = new(0, long.MaxValue, LockType.Write, new(default, 1), 1);

    [Fact]
    public async Task What_was_open_fails_for_good_and_what_is_opened_next_is_of_a_new_session()
    {
        await using LeasedWorld leased = await LeasedWorld.StartAsync();
        await using SuccessiveClients clients = await leased.OpenAsync();
        DriveClient old = clients.Current.Client;
        OpenFile open = await CreateAsync(old, "f");
        await old.CloseAsync(await CreateAsync(old, "gone"));
        Assert.Equal(Reply.Ok(6), await old.WriteAsync(open, 0, "before"u8.ToArray(), default));
        Assert.Equal(Status.Ok, await old.FsyncAsync(open));
        Assert.Equal(Status.Ok, await old.Session.SetLockAsync(open.Id, LockSpace.Whole, s_whole, false, default));
        Assert.Equal(Status.NotFound, (await LookupAsync(old, "new")).Status);
        await leased.ExpireAsync();

        // Another one has the lock, and changes what this one knew.
        await using DriveClient other = await leased.OpenOtherAsync(SessionAccess.Shared);
        OpenFile others = await OpenAsync(other, "f");
        Assert.Equal(Status.Ok, await other.Session.SetLockAsync(others.Id, LockSpace.Whole, s_whole, false, default));
        Assert.Equal(Reply.Ok(9), await other.WriteAsync(others, 0, "meanwhile"u8.ToArray(), default));
        await other.CloseAsync(await CreateAsync(other, "new"));
        ValueTask<Reply<UnlinkResult>> unlinking = other.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "gone"u8 });
        Assert.Equal(Status.Ok, (await unlinking).Status);

        // Its own clock does not say yet that its lease is over: the write may be answered from memory, and is lost all the same.
        Task<Reply<int>> late = old.WriteAsync(open, 0, "late"u8.ToArray(), new(KillSetId: false, Sync: true)).AsTask();
        leased.World.Proxy.Mend();
        Assert.Equal(Status.SessionExpired, (await late).Status);
        await leased.UntilGenerationAsync(clients, 2);
        DriveClient next = clients.Current.Client;
        Assert.Equal(Status.Ok, (await LookupAsync(next, "new")).Status);
        Assert.Equal(Status.NotFound, (await LookupAsync(next, "gone")).Status);
        OpenFile again = await OpenAsync(next, "f");
        Assert.Equal("meanwhile", await ReadAsync(again));
        Assert.Equal(Status.Locked, await next.Session.SetLockAsync(again.Id, LockSpace.Whole, s_whole, false, default));

        // Not once, and then no more: for good.
        for (int time = 0; time < 2; time++)
        {
            Assert.Equal(Status.SessionExpired, (await old.WriteAsync(open, 0, "late"u8.ToArray(), default)).Status);
            Assert.Equal(Status.SessionExpired, (await old.ReadAsync(open, 0, new byte[10])).Status);
            Assert.Equal(Status.SessionExpired, await old.FsyncAsync(open));
            Assert.Equal(Status.SessionExpired, (await old.SeekAsync(open, 0, SeekTarget.Data)).Status);
            Assert.Equal(Status.SessionExpired, await old.Session.SetLockAsync(open.Id, LockSpace.Whole, s_whole, true, default));
            Assert.Equal(Status.SessionExpired, (await old.OpenAsync(open.Id, CowNumber.Head)).Status);
        }

        Assert.Equal(Reply.Ok(5), await next.WriteAsync(again, 9, " more"u8.ToArray(), default));
        Assert.Equal(Status.Ok, await next.FsyncAsync(again));
        Assert.Equal("meanwhile more", await ReadAsync(others));
        Assert.Equal(Status.Ok, (await next.StatfsAsync()).Status);
        Assert.Equal(["expired 1", "opened"], leased.Told);

        // With its last file a client goes.
        Assert.False(old.Completion.IsCompleted);
        await old.CloseAsync(open);
        await clients.LetGoAsync(old);
        await old.Completion;
        Assert.Equal(Status.Ok, (await LookupAsync(next, "f")).Status);
    }

    [Fact]
    public async Task Each_session_that_expires_is_followed_by_another_one()
    {
        await using LeasedWorld leased = await LeasedWorld.StartAsync();
        await using SuccessiveClients clients = await leased.OpenAsync();
        for (ulong generation = 1; generation <= 3; generation++)
        {
            DriveClient client = clients.Current.Client;
            OpenFile file = await CreateAsync(client, $"f{generation}");
            Assert.Equal(Reply.Ok(1), await client.WriteAsync(file, 0, new byte[1], default));
            await client.CloseAsync(file);
            await leased.ExpireAsync();
            leased.World.Proxy.Mend();
            await leased.UntilGenerationAsync(clients, generation + 1);

            // Nothing of it was open.
            await client.Completion;
        }

        Assert.Equal(3, (await clients.Current.Client.Session.NamesAsync()).Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_drive_that_was_deleted_meanwhile_is_gone_for_good(bool hasNamesake)
    {
        await using LeasedWorld leased = await LeasedWorld.StartAsync();
        await using SuccessiveClients clients = await leased.OpenAsync();
        await leased.ExpireAsync();
        Assert.Equal(Status.Ok, await leased.World.Local.DeleteDriveAsync(RemoteWorld.Drive, default));
        if (hasNamesake)
        {
            Reply<DriveInfo> made = await leased.World.Local.CreateDriveAsync(new(RemoteWorld.Drive, DriveKind.FileSystem, 0, 0), default);
            Assert.Equal(Status.Ok, made.Status);
        }

        leased.World.Proxy.Mend();
        await FaultTests.WaitUntilAsync(() => leased.Told.Contains("refused Stale"));
        Assert.Equal(Status.Stale, await clients.WaitAsync(default));
        Assert.Equal(Status.Stale, await clients.WaitAsync(default));
        Assert.Equal(["expired 0", "refused Stale"], leased.Told);
        Assert.Equal(1UL, clients.Current.Number);
        await FaultTests.WaitUntilAsync(() => leased.World.Services.SessionCount == 0);
    }

    [Fact]
    public async Task Who_is_refused_a_new_session_is_told_so_at_once_and_let_in_later()
    {
        await using LeasedWorld leased = await LeasedWorld.StartAsync();
        await using SuccessiveClients clients = await leased.OpenAsync();
        await leased.ExpireAsync();
        await using (await leased.OpenOtherAsync(SessionAccess.Alone))
        {
            leased.World.Proxy.Mend();
            await FaultTests.WaitUntilAsync(() => leased.Told.Contains("refused InUse"));
            Assert.Equal(Status.SessionExpired, await clients.WaitAsync(default));
        }

        await leased.UntilGenerationAsync(clients, 2);
        Assert.Equal(["expired 0", "refused InUse", "opened"], leased.Told);
    }

    /// <remarks>A client by itself gives up a session of a single node after two leases.</remarks>
    [Fact]
    public async Task Who_reaches_nobody_waits_until_somebody_is_there_again()
    {
        await using LeasedWorld leased = await LeasedWorld.StartAsync(FaultTests.s_briefLease);
        await using SuccessiveClients clients = await leased.OpenAsync();
        await leased.ExpireAsync();
        await FaultTests.WaitUntilAsync(() => leased.Attempts > 2);
        Task<Status> waiting = clients.WaitAsync(default).AsTask();
        using CancellationTokenSource impatient = new();
        Task<Status> cancelled = clients.WaitAsync(impatient.Token).AsTask();
        await impatient.CancelAsync();
        Assert.Equal(Status.SessionExpired, await cancelled);
        Assert.False(waiting.IsCompleted);
        leased.World.Proxy.Mend();
        Assert.Equal(Status.Ok, await waiting);
        Assert.Equal(2UL, clients.Current.Number);
        Assert.Equal(["expired 0", "opened"], leased.Told);
    }

    [Fact]
    public async Task Who_ends_while_the_next_session_is_waited_for_ends()
    {
        await using LeasedWorld leased = await LeasedWorld.StartAsync(FaultTests.s_briefLease);
        SuccessiveClients clients = await leased.OpenAsync();
        await leased.ExpireAsync();
        await FaultTests.WaitUntilAsync(() => leased.Attempts > 0);
        Task<Status> waiting = clients.WaitAsync(default).AsTask();
        await clients.DisposeAsync();
        Assert.Equal(Status.SessionExpired, await waiting);
        await clients.Completion;
    }

    private static async Task<OpenFile> CreateAsync(DriveClient client, string name)
    {
        ValueTask<Reply<CreatedFile>> creating = client.CreateOpenAsync(new CreateRequest
        {
            Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = 0x1A4,
        });
        Reply<CreatedFile> created = await creating;
        Assert.Equal(Status.Ok, created.Status);
        return created.Value.File;
    }

    private static ValueTask<Reply<NodeInfo>> LookupAsync(DriveClient client, string name) =>
        client.LookupAsync(VNodeId.Root, Encoding.UTF8.GetBytes(name), CowNumber.Head);

    private static async Task<OpenFile> OpenAsync(DriveClient client, string name)
    {
        Reply<OpenFile> file = await client.OpenAsync((await LookupAsync(client, name)).Value.Id, CowNumber.Head);
        Assert.Equal(Status.Ok, file.Status);
        return file.Value;
    }

    private static async Task<string> ReadAsync(OpenFile file)
    {
        byte[] buffer = new byte[100];
        Reply<int> read = await file.Client.ReadAsync(file, 0, buffer);
        Assert.Equal(Status.Ok, read.Status);
        return Encoding.UTF8.GetString(buffer, 0, read.Value);
    }

    /// <summary>A node whose leases end when the test says so, and where sessions with it come from.</summary>
    private sealed class LeasedWorld : ISessionSource, IAsyncDisposable
    {
        private readonly ConcurrentQueue<string> told = new();
        private readonly ManualTime clock;
        private readonly TimeSpan lease;
        private int attempts;

        private LeasedWorld(RemoteWorld world, ManualTime clock, TimeSpan lease)
        {
            World = world;
            this.clock = clock;
            this.lease = lease;
        }

        public RemoteWorld World { get; }

        public string[] Told => [.. told];

        public int Attempts => Volatile.Read(ref attempts);

        public static Task<LeasedWorld> StartAsync() => StartAsync(s_lease);

        public static async Task<LeasedWorld> StartAsync(TimeSpan lease)
        {
            ManualTime clock = new();
            return new(await RemoteWorld.StartAsync("grpc", options: new() { Lease = lease }, serverClock: clock), clock, lease);
        }

        public async Task<SuccessiveClients> OpenAsync()
        {
            Reply<IDriveSession> first = await ((ISessionSource)this).OpenAsync(default);
            Assert.Equal(Status.Ok, first.Status);
            Volatile.Write(ref attempts, 0);
            return new(first.Value, this, static session => new(session, new(), TimeProvider.System), TimeProvider.System);
        }

        /// <summary>A client that nothing cuts off.</summary>
        public async Task<DriveClient> OpenOtherAsync(SessionAccess access)
        {
            Reply<IDriveSession> opened = await World.Local.OpenSessionAsync(RemoteWorld.Drive, access, default);
            Assert.Equal(Status.Ok, opened.Status);
            return new(opened.Value, new(), TimeProvider.System);
        }

        /// <summary>Cuts the remote clients off, until their sessions have expired.</summary>
        public async Task ExpireAsync()
        {
            World.Proxy.Cut();
            for (int tick = 0; tick < 4; tick++)
            {
                clock.Advance(lease * 0.4);
                World.Services.Tick();
            }

            await FaultTests.WaitUntilAsync(() => World.Services.SessionCount == 0);
        }

        public Task UntilGenerationAsync(SuccessiveClients clients, ulong number) =>
            FaultTests.WaitUntilAsync(() => clients.Current.Number == number && told.LastOrDefault() == "opened");

        public ValueTask DisposeAsync() => World.DisposeAsync();

        async ValueTask<Reply<IDriveSession>> ISessionSource.OpenAsync(CancellationToken cancellation)
        {
            Reply<IDriveSession> opened = await World.Admin.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Shared, cancellation);
            Interlocked.Increment(ref attempts);
            return opened.IsOk ? Reply.Ok(SessionMemory.Around(opened.Value, TimeProvider.System)) : opened;
        }

        void ISessionSource.OnExpired(int openFiles) => told.Enqueue($"expired {openFiles}");

        void ISessionSource.OnRefused(Status why) => told.Enqueue($"refused {why}");

        void ISessionSource.OnOpened() => told.Enqueue("opened");
    }
}
