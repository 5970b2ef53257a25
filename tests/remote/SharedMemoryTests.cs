using System.Text;
using KvFs.Client;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Drives;
using KvFs.Protocol;
using KvFs.Protocol.Wire;

namespace KvFs.Remote.Tests;

/// <summary>What clients that share a drive keep of it in their memory: it is answered without asking, and never out of date.</summary>
public sealed class SharedMemoryTests
{
    private const int Sessions = 3;

    [Fact]
    public async Task What_was_asked_for_once_is_answered_from_memory()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using SharedDriveSession maker = await OpenAsync(world);
        VNodeId folder = (await maker.CreateAsync("d", VNodeKind.Directory)).Value.Id;
        for (int file = 0; file < 300; file++) { Assert.True((await maker.CreateAsync($"f{file}", parent: folder)).IsOk); }
        await using SharedDriveSession session = await OpenAsync(world);
        Assert.Equal(300, await ListAsync(session, folder));
        Assert.True((await session.LookupAsync("d")).IsOk);
        Assert.Equal(Status.NotFound, (await session.LookupAsync("none")).Status);

        HostedDrive drive = world.Node.Host.Find(RemoteWorld.Drive)!;
        long before = drive.Requests;
        Assert.Equal(300, await ListAsync(session, folder));
        for (int file = 0; file < 300; file++)
        {
            Reply<NodeInfo> found = await session.LookupAsync(folder, Encoding.UTF8.GetBytes($"f{file}"), CowNumber.Head);
            Assert.Equal(found, await session.GetAsync(found.Value.Id, CowNumber.Head));
            Assert.Equal(Status.NoAttribute, await session.GetXattrAsync(found.Value.Id, CowNumber.Head, "security.capability"u8, new()));
        }

        Assert.Equal(Status.NotFound, (await session.LookupAsync(folder, "none"u8, CowNumber.Head)).Status);
        Assert.Equal(Status.NotFound, (await session.LookupAsync("none")).Status);
        Assert.True((await session.LookupAsync(folder, ".."u8, CowNumber.Head)).IsOk);
        Assert.Equal(before, drive.Requests);

        // A change of one file costs what is asked of that file, and of the directory's own attributes.
        Reply<NodeInfo> first = await session.LookupAsync(folder, "f0"u8, CowNumber.Head);
        Assert.True((await maker.SetAttributesAsync(Mode(first.Value.Id, 0x100))).IsOk);
        before = drive.Requests;
        Assert.Equal(0x100, (await session.GetAsync(first.Value.Id, CowNumber.Head)).Value.VNode.Mode & 0xFFF);
        Assert.Equal(300, await ListAsync(session, folder));
        Assert.Equal(before + 1, drive.Requests);
    }

    /// <remarks>Each value that is written is greater than all before. Whoever reads has noted before what had been answered by then: it must see
    /// that, or more.</remarks>
    [Theory]
    [InlineData("tcp", 1)]
    [InlineData("grpc", 2)]
    [InlineData("unix", 3)]
    public async Task Whoever_reads_sees_what_was_answered_to_others_before(string transport, int seed)
    {
        const int Nodes = 8;
        const int Rounds = 400;
        await using RemoteWorld world = await RemoteWorld.StartAsync(transport);
        SharedDriveSession[] sessions = new SharedDriveSession[Sessions];
        for (int at = 0; at < Sessions; at++) { sessions[at] = await OpenAsync(world); }
        VNodeId[] nodes = new VNodeId[Nodes];
        for (int at = 0; at < Nodes; at++) { nodes[at] = (await sessions[0].CreateAsync($"n{at}")).Value.Id; }

        // Of each file: the greatest value that was answered; of its second name: the last answered change, odd if that name is there.
        long[] written = new long[Nodes];
        long[] named = new long[Nodes];
        SemaphoreSlim[] turns = [.. Enumerable.Range(0, Nodes).Select(static _ => new SemaphoreSlim(1))];
        long[] begun = new long[Nodes];
        await Task.WhenAll(Enumerable.Range(0, Sessions * 2).Select(worker => Task.Run(async () =>
        {
            SharedDriveSession session = sessions[worker % Sessions];
            Random random = new((seed * 100) + worker);
            for (int round = 0; round < Rounds; round++)
            {
                int at = random.Next(Nodes);
                byte[] name = Encoding.UTF8.GetBytes($"second{at}");
                switch (random.Next(10))
                {
                    case 0:
                        await InTurnAsync(turns[at], async () =>
                        {
                            long value = written[at] + 1;
                            SetAttributesRequest set = new() { Node = nodes[at], Mask = AttributeMask.ModifyTime, ModifyTime = new(value) };
                            Assert.Equal(Status.Ok, (await session.SetAttributesAsync(set)).Status);
                            Volatile.Write(ref written[at], value);
                        });
                        break;
                    case 1:
                        await InTurnAsync(turns[at], async () =>
                        {
                            bool isThere = named[at] % 2 == 1;
                            Volatile.Write(ref begun[at], named[at] + 1);
                            Status changed = isThere
                                ? await UnlinkAsync(session, name)
                                : await LinkAsync(session, nodes[at], name);
                            Assert.Equal(Status.Ok, changed);
                            Volatile.Write(ref named[at], named[at] + 1);
                        });
                        break;
                    case < 6:
                        long least = Volatile.Read(ref written[at]);
                        Reply<NodeInfo> info = await session.GetAsync(nodes[at], CowNumber.Head);
                        Assert.InRange(info.Value.VNode.ModifyTime.Nanoseconds, least == 0 ? long.MinValue : least, long.MaxValue);
                        break;
                    default:
                        long done = Volatile.Read(ref named[at]);
                        Reply<NodeInfo> found = await session.LookupAsync(VNodeId.Root, name, CowNumber.Head);
                        if (Volatile.Read(ref begun[at]) <= done) { Assert.Equal(done % 2 == 1 ? Status.Ok : Status.NotFound, found.Status); }
                        break;
                }
            }
        })));
        foreach (SharedDriveSession session in sessions) { await session.DisposeAsync(); }
    }

    /// <remarks>Several changes of the same VNodes at a time, of the same session, too; names that lead elsewhere by the time they are taken away;
    /// reads in between that may be kept. When all are answered, what each session shows is what there is.</remarks>
    [Theory]
    [InlineData("tcp", 1)]
    [InlineData("tcp", 2)]
    [InlineData("grpc", 3)]
    public async Task When_all_changes_are_answered_everybody_shows_what_there_is(string transport, int seed)
    {
        const int Rounds = 60;
        const int Workers = 9;
        await using RemoteWorld world = await RemoteWorld.StartAsync(transport);
        SharedDriveSession[] sessions = new SharedDriveSession[Sessions];
        for (int at = 0; at < Sessions; at++) { sessions[at] = await OpenAsync(world); }
        Reply<IDriveSession> opened = await world.Local.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Shared, CancellationToken.None);
        await using IDriveSession truth = opened.Value;
        List<VNodeId> nodes = [];
        for (int at = 0; at < 3; at++) { nodes.Add((await sessions[0].CreateAsync($"n{at}")).Value.Id); }
        byte[][] names = [.. Enumerable.Range(0, 5).Select(static at => Encoding.UTF8.GetBytes($"n{at}"))];
        for (int round = 0; round < Rounds; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
            {
                Random random = new((((seed * 100) + round) * Workers) + worker);
                SharedDriveSession session = sessions[worker % Sessions];
                for (int step = 0; step < 12; step++)
                {
                    VNodeId node = nodes[random.Next(nodes.Count)];
                    (byte[] name, byte[] other) = (names[random.Next(names.Length)], names[random.Next(names.Length)]);
                    switch (random.Next(8))
                    {
                        case 0 or 1:
                            SetAttributesRequest set = new() { Node = node, Mask = AttributeMask.ModifyTime, ModifyTime = new(random.Next()) };
                            await session.SetAttributesAsync(set);
                            break;
                        case 2:
                            await LinkAsync(session, node, name);
                            break;
                        case 3 when worker == 0:
                            await UnlinkAsync(session, name);
                            break;
                        case 4:
                            ValueTask<Reply<UnlinkResult>> renaming = session.RenameAsync(
                                new() { OldParent = VNodeId.Root, OldName = name, NewParent = VNodeId.Root, NewName = other });
                            await renaming;
                            break;
                        case 5:
                            await session.GetAsync(node, CowNumber.Head);
                            break;
                        default:
                            await session.LookupAsync(VNodeId.Root, name, CowNumber.Head);
                            break;
                    }
                }
            })));
            foreach (VNodeId node in nodes.Append(VNodeId.Root))
            {
                Reply<NodeInfo> expected = await truth.GetAsync(node, CowNumber.Head);
                foreach (SharedDriveSession session in sessions)
                {
                    Assert.True(expected == await session.GetAsync(node, CowNumber.Head), $"seed {seed}, round {round}, VNode {node}");
                }
            }

            foreach (byte[] name in names)
            {
                Reply<NodeInfo> expected = await truth.LookupAsync(VNodeId.Root, name, CowNumber.Head);
                foreach (SharedDriveSession session in sessions)
                {
                    Assert.True(expected == await session.LookupAsync(VNodeId.Root, name, CowNumber.Head), $"seed {seed}, round {round}, {Encoding.UTF8.GetString(name)}");
                }
            }

            foreach (string name in new[] { "n0", "n1", "n2" })
            {
                Reply<NodeInfo> made = await sessions[0].CreateAsync(name);
                if (made.IsOk) { nodes.Add(made.Value.Id); }
            }
        }

        foreach (SharedDriveSession session in sessions) { await session.DisposeAsync(); }
    }

    /// <remarks>Nobody who is cut off holds others up for longer than its lease, and it does not show what it kept behind that.</remarks>
    [Fact]
    public async Task Who_is_cut_off_shows_nothing_any_more_when_others_go_on()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync(options: new() { Lease = TimeSpan.FromSeconds(4) });
        using GrpcChannel channel = world.NewChannel();
        RemoteDriveAdmin straight = new(channel, new());
        Reply<IDriveSession> opened = await straight.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Shared, CancellationToken.None);
        await using SharedDriveSession writer = new((RemoteDriveSession)opened.Value);
        SharedDriveSession cutOff = await OpenAsync(world);
        VNodeId file = (await writer.CreateAsync("f")).Value.Id;
        NodeInfo kept = (await cutOff.GetAsync(file, CowNumber.Head)).Value;
        world.Proxy.Cut();

        // What it keeps it shows, until its lease is over; the change is answered only then.
        Task<Reply<NodeInfo>> changing = writer.SetAttributesAsync(Mode(file, 0x100)).AsTask();
        long shown = 0;
        while (!changing.IsCompleted)
        {
            ValueTask<Reply<NodeInfo>> asked = cutOff.GetAsync(file, CowNumber.Head);
            if (!asked.IsCompleted) { break; }
            Assert.Equal(Reply.Ok(kept), await asked);
            shown++;
            await Task.Yield();
        }

        Assert.True(shown > 0);
        Assert.Equal(Status.Ok, (await changing).Status);
        Assert.NotEqual(Reply.Ok(kept), await cutOff.GetAsync(file, CowNumber.Head));
        world.Proxy.Mend();
        await cutOff.DisposeAsync();
    }

    [Fact]
    public async Task A_stream_that_breaks_loses_no_recall()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        using GrpcChannel channel = world.NewChannel();
        RemoteDriveAdmin straight = new(channel, new());
        Reply<IDriveSession> opened = await straight.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Shared, CancellationToken.None);
        await using SharedDriveSession writer = new((RemoteDriveSession)opened.Value);
        await using SharedDriveSession reader = await OpenAsync(world);
        VNodeId file = (await writer.CreateAsync("f")).Value.Id;
        for (ushort mode = 1; mode <= 20; mode++)
        {
            Assert.True((await reader.GetAsync(file, CowNumber.Head)).IsOk);
            ValueTask<Reply<NodeInfo>> changing = writer.SetAttributesAsync(Mode(file, mode));
            world.Proxy.Break();
            Assert.True((await changing).IsOk);
            Assert.Equal(mode, (await reader.GetAsync(file, CowNumber.Head)).Value.VNode.Mode & 0xFFF);
        }
    }

    /// <remarks>A client that keeps something, renews its lease and does not forget: others wait for two leases, no longer.</remarks>
    [Fact]
    public async Task Who_does_not_forget_gets_no_lease_and_loses_its_session()
    {
        await using TakingUpNode node = await TakingUpNode.StartAsync();
        using GrpcCall<V1.ClientMessage, V1.ServerMessage> call =
            node.Channel.Start(DriveMethods.Session, new() { Limits = WireLimits.OfClient }, CancellationToken.None);
        await call.Requests!.WriteAsync(new() { Open = new() { Drive = TakingUpNode.Drive, Shared = true } }, CancellationToken.None);
        V1.SessionKey key = (await NextAsync(call)).Opened.Key;
        V1.Request get = new() { Session = key.Session, Id = 1, Keep = true, Get = new() { Id = VNodeId.Root.Value } };
        await call.Requests.WriteAsync(new() { Request = get }, CancellationToken.None);
        Assert.True((await NextAsync(call)).Answer.Kept);

        Reply<IDriveSession> opened = await node.Node.Admin.OpenSessionAsync(TakingUpNode.Drive, SessionAccess.Shared, CancellationToken.None);
        await using IDriveSession other = opened.Value;
        Task<Reply<NodeInfo>> changing = Task.Run(() => other.CreateAsync("f").AsTask());
        V1.Recall recall = (await NextAsync(call)).Recall;
        Assert.Equal(V1.RecallKind.Forget, recall.Kind);
        Assert.Contains(VNodeId.Root.Value, recall.Nodes);

        // Within a lease it is renewed.
        await call.Requests.WriteAsync(new() { Renew = new() }, CancellationToken.None);
        Assert.NotNull((await NextAsync(call)).Renewed);
        for (int lease = 0; lease < 5; lease++)
        {
            Assert.Equal(lease > 2, changing.IsCompleted);
            node.Clock.Advance(TimeSpan.FromSeconds(4));
            node.Services.Find(key, out _);
            node.Services.Tick();
            if (lease == 2) { await changing; }
        }

        Assert.Equal(Status.Ok, (await changing).Status);
        Assert.Equal(V1.Status.SessionExpired, (await NextAsync(call)).Closed.Status);
    }

    [Fact]
    public async Task Nothing_may_be_kept_by_who_could_not_be_recalled_or_of_another_version()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using IDriveSession maker = await world.OpenAsync(SessionAccess.Shared);
        Assert.True((await maker.CreateAsync("f")).IsOk);
        CowNumber at = (await world.Admin.CreateSnapshotAsync(RemoteWorld.Drive, "s", default)).Value.At;
        using GrpcChannel channel = world.NewChannel();
        V1.OpenSession open = new() { Drive = RemoteWorld.Drive, Shared = true };
        V1.SessionKey key = (await channel.UnaryAsync(DriveMethods.Open, open, new() { Limits = WireLimits.OfClient }, CancellationToken.None)).Key;
        V1.Request[] requests =
        [
            new() { Get = new() { Id = 1 } },
            new() { Get = new() { Id = 1, At = at.Value } },
            new() { Lookup = new() { Parent = 1, Name = Google.Protobuf.ByteString.CopyFromUtf8("f") } },
            new() { ReadDirectory = new() { Directory = 1, MaxEntries = 10, WithNodes = true } },
        ];
        foreach (V1.Request request in requests)
        {
            request.Session = key.Session;
            request.Keep = true;
            V1.CallRequest call = new() { Key = key, Request = request };
            V1.Answer answer = await channel.UnaryAsync(DriveMethods.Call, call, new() { Limits = WireLimits.OfClient }, CancellationToken.None);
            Assert.Equal((V1.Status.Ok, false), (answer.Status, answer.Kept));
        }

        Assert.True((await maker.CreateAsync("g")).IsOk);
    }

    private static async Task<SharedDriveSession> OpenAsync(RemoteWorld world) =>
        new((RemoteDriveSession)await world.OpenAsync(SessionAccess.Shared));

    private static SetAttributesRequest Mode(VNodeId node, ushort mode) => new() { Node = node, Mask = AttributeMask.Mode, Mode = mode };

    private static async Task InTurnAsync(SemaphoreSlim turn, Func<Task> work)
    {
        await turn.WaitAsync();
        try
        {
            await work();
        }
        finally
        {
            turn.Release();
        }
    }

    private static async Task<Status> LinkAsync(SharedDriveSession session, VNodeId node, byte[] name)
    {
        ValueTask<Reply<NodeInfo>> linking = session.LinkAsync(new() { Node = node, NewParent = VNodeId.Root, NewName = name });
        return (await linking).Status;
    }

    private static async Task<Status> UnlinkAsync(IDriveSession session, byte[] name)
    {
        ValueTask<Reply<UnlinkResult>> unlinking = session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = name });
        return (await unlinking).Status;
    }

    private static async Task<int> ListAsync(SharedDriveSession session, VNodeId directory)
    {
        DirectoryPage page = new();
        int count = 0;
        do
        {
            ulong cookie = page.Count == 0 ? 0 : page.Cookie(page.Count - 1);
            Assert.Equal(Status.Ok, await session.ReadDirectoryAsync(directory, CowNumber.Head, cookie, 100, true, page));
            count += page.Count;
        }
        while (!page.IsLast);
        return count;
    }

    private static async Task<V1.ServerMessage> NextAsync(GrpcCall<V1.ClientMessage, V1.ServerMessage> call)
    {
        Assert.True(await call.WaitToReadAsync());
        Assert.True(call.TryRead(out V1.ServerMessage message));
        return message;
    }
}
