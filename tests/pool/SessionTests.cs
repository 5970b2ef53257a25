using System.Text;
using Google.Protobuf;
using KvFs.Client;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Pool.Tests;

/// <summary>Sessions outlive their primary: with what they hold, have locked, have reserved, and have on its way.</summary>
public sealed class SessionTests
{
    private static readonly CancellationToken s_none = CancellationToken.None;

    [Fact]
    public async Task A_client_goes_on_with_its_open_files_while_each_primary_goes_in_turn()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        await world.CreateDriveAsync("drive");
        await using IDriveSession session = await world.OpenSessionAsync("drive");
        await using DriveClient client = new(session, new(), TimeProvider.System);
        OpenFile file = await Files.CreateAsync(client, "open");
        List<byte> expected = [];
        for (int round = 0; round < 3; round++)
        {
            byte[] before = Files.Bytes(300_000, round);
            Assert.Equal(Reply.Ok(before.Length), await client.WriteAsync(file, (ulong)expected.Count, before, default));
            expected.AddRange(before);
            PoolMemberNode primary = await world.ServerOfAsync("drive");
            int number = world.NumberOf(primary);
            if (round == 1) { await primary.LeaveAsync(); }
            await world.StopAsync(primary);
            byte[] after = Files.Bytes(2_000_000, 10 + round);
            Assert.Equal(Reply.Ok(after.Length), await client.WriteAsync(file, (ulong)expected.Count, after, default));
            expected.AddRange(after);
            Assert.Equal(Status.Ok, await client.FsyncAsync(file));
            await Files.WriteAsync(client, $"file{round}", before);
            Assert.Equal(expected, await Files.ReadAsync(client, "open"));
            await world.StartNodeAsync(number);
            await world.WholeAsync();
        }

        Assert.Equal(Status.Ok, await client.CloseAsync(file));
    }

    [Fact]
    public async Task What_it_holds_and_has_locked_is_still_its_own_under_the_next_primary()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        await world.CreateDriveAsync("drive");
        await using IDriveSession session = await world.OpenSessionAsync("drive");
        NodeInfo held = (await Ask.CreateAsync(session, "held", session.Id)).Value;
        NodeInfo twice = (await Ask.CreateAsync(session, "twice", session.Id)).Value;
        Assert.Equal(Status.Ok, (await session.HoldAsync(twice.Id)).Status);
        Assert.Equal(Status.Ok, (await Ask.UnlinkAsync(session, "held")).Status);
        FileLock wanted = new(10, 19, LockType.Write, new(session.Id, 7), 42);
        Assert.Equal(Status.Ok, await session.SetLockAsync(twice.Id, LockSpace.Range, wanted, false, s_none));
        Assert.Equal(Status.Ok, await session.ReserveAsync(new(1 << 20, 5)));

        await world.StopAsync(await world.ServerOfAsync("drive"));
        Assert.Equal(0u, (await session.GetAsync(held.Id, CowNumber.Head)).Value.VNode.Nlink);
        FileLock others = wanted with { Owner = new(session.Id, 8) };
        Assert.Equal(Status.Locked, await session.SetLockAsync(twice.Id, LockSpace.Range, others, false, s_none));
        Assert.Equal(wanted.ProcessId, (await session.TestLockAsync(twice.Id, LockSpace.Range, others)).Value.ProcessId);
        Assert.Equal(Status.Ok, await session.SetLockAsync(twice.Id, LockSpace.Range, wanted with { Type = LockType.Unlock }, false, s_none));
        Assert.Equal(Status.Ok, await session.SetLockAsync(twice.Id, LockSpace.Range, others, false, s_none));

        // Held twice: it goes with the second release, and not before.
        Assert.Equal(Status.Ok, (await Ask.UnlinkAsync(session, "twice")).Status);
        Assert.Equal(Status.Ok, await session.ReleaseAsync(twice.Id));
        Assert.Equal(Status.Ok, (await session.GetAsync(twice.Id, CowNumber.Head)).Status);
        Assert.Equal(Status.Ok, await session.ReleaseAsync(twice.Id));
        Assert.Equal(Status.Stale, (await session.GetAsync(twice.Id, CowNumber.Head)).Status);
        Assert.Equal(Status.Ok, await session.ReleaseAsync(held.Id));
        Assert.Equal(Status.Stale, (await session.GetAsync(held.Id, CowNumber.Head)).Status);
        Assert.Equal(Status.Invalid, await session.ReleaseAsync(held.Id));
    }

    [Fact]
    public async Task A_change_that_is_sent_again_to_the_next_primary_is_applied_once()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        await world.CreateDriveAsync("drive");
        PoolMemberNode primary = await world.ServerOfAsync("drive");
        V1.Opened opened;
        V1.Answer first;
        V1.Request create = new() { Id = 1, Slot = 3, Sequence = 8, Create = NewFile("once") };
        using (GrpcChannel channel = world.ChannelTo(world.NumberOf(primary)))
        {
            opened = await channel.UnaryAsync(DriveMethods.Open, new() { Drive = "drive" }, new(), s_none);
            create.Session = opened.Key.Session;
            first = await channel.UnaryAsync(DriveMethods.Call, new() { Key = opened.Key, Request = create }, new(), s_none);
            Assert.Equal(V1.Status.Ok, first.Status);
            Assert.False(opened.WantsHoldings);
        }

        await world.StopAsync(primary);
        PoolMemberNode next = await world.ServerOfAsync("drive");
        using (GrpcChannel channel = world.ChannelTo(world.NumberOf(next)))
        {
            Task<V1.Answer> AskAsync(V1.Request request)
            {
                request.Session = opened.Key.Session;
                return channel.UnaryAsync(DriveMethods.Call, new() { Key = opened.Key, Request = request }, new(), s_none).AsTask();
            }

            // Only who says what it holds is served.
            Assert.Equal(V1.Status.Invalid, (await AskAsync(create)).Status);
            Assert.Equal(V1.Status.Ok, (await AskAsync(new() { TellHoldings = new() { Epoch = first.Epoch, LogIndex = first.LogIndex } })).Status);

            // What it says again, on another stream, counts no more: all was said.
            Assert.Equal(V1.Status.Ok, (await AskAsync(new() { TellHoldings = new() { Held = { new V1.Held { Node = 1, Count = 1 } } } })).Status);

            V1.Answer again = await AskAsync(create);
            Assert.Equal(V1.Status.Ok, again.Status);
            Assert.Equal(first.Node, again.Node);
            Assert.Equal(V1.Status.Invalid, (await AskAsync(Named(create, 7))).Status);
            Assert.Equal(V1.Status.Exists, (await AskAsync(Named(create, 9))).Status);

            // It holds what it asked to be opened, though it never said so.
            Assert.Equal(V1.Status.Ok, (await AskAsync(new() { Slot = 4, Sequence = 1, Release = new() { Id = first.Node.Id } })).Status);
            Assert.Equal(V1.Status.Invalid, (await AskAsync(new() { Slot = 4, Sequence = 2, Release = new() { Id = first.Node.Id } })).Status);
        }

        // The others have no part in it.
        foreach (PoolMemberNode other in world.Nodes.Where(node => node != next))
        {
            using GrpcChannel channel = world.ChannelTo(world.NumberOf(other));
            V1.CallRequest call = new() { Key = opened.Key, Request = create };
            Assert.Equal(V1.Status.StaleEpoch, (await channel.UnaryAsync(DriveMethods.Call, call, new(), s_none)).Status);
            Assert.Equal(V1.Status.StaleEpoch, (await channel.UnaryAsync(DriveMethods.Renew, opened.Key, new(), s_none)).Status);
        }
    }

    [Fact]
    public async Task A_file_without_a_name_whose_maker_waits_for_the_answer_is_still_there_under_the_next_primary()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        await world.CreateDriveAsync("drive");
        PoolMemberNode primary = await world.ServerOfAsync("drive");
        V1.Opened opened;
        V1.Answer[] made = new V1.Answer[3];
        using (GrpcChannel channel = world.ChannelTo(world.NumberOf(primary)))
        {
            opened = await channel.UnaryAsync(DriveMethods.Open, new() { Drive = "drive" }, new(), s_none);
            for (uint slot = 0; slot < 3; slot++)
            {
                made[slot] = await channel.UnaryAsync(DriveMethods.Call, new() { Key = opened.Key, Request = Make(slot) }, new(), s_none);
                Assert.Equal(V1.Status.Ok, made[slot].Status);
            }
        }

        await world.StopAsync(primary);
        using GrpcChannel next = world.ChannelTo(world.NumberOf(await world.ServerOfAsync("drive")));

        // The answers of slots 0 and 1 did not come, for all that it says; of slot 2 it says nothing.
        V1.Holdings told = new() { Epoch = made[2].Epoch, LogIndex = made[2].LogIndex, Opening = { Named(0), Named(1) } };
        Assert.Equal(V1.Status.Ok, (await AskAsync(new() { TellHoldings = told })).Status);
        await PoolWorld.UntilAsync(
            async () => (await AskAsync(Get(2))).Status == V1.Status.Stale ? made : null, "what nobody holds any more is still there");
        for (uint slot = 0; slot < 2; slot++)
        {
            Assert.Equal(made[slot].Node, (await AskAsync(Make(slot))).Node);
            Assert.Equal(V1.Status.Ok, (await AskAsync(Get(slot))).Status);
            Assert.Equal(V1.Status.Ok, (await AskAsync(Release(slot, 2))).Status);

            // It held it once.
            Assert.Equal(V1.Status.Invalid, (await AskAsync(Release(slot, 3))).Status);
            Assert.Equal(V1.Status.Stale, (await AskAsync(Get(slot))).Status);
        }

        Task<V1.Answer> AskAsync(V1.Request request)
        {
            request.Session = opened.Key.Session;
            return next.UnaryAsync(DriveMethods.Call, new() { Key = opened.Key, Request = request }, new(), s_none).AsTask();
        }

        V1.Request Make(uint slot)
        {
            V1.Create create = new() { Parent = new() { Id = VNodeId.Root.Value }, Kind = V1.VNodeKind.File, Opened = true, Nameless = true };
            return new() { Session = opened.Key.Session, Id = 1, Slot = slot, Sequence = 1, Create = create };
        }

        V1.Request Get(uint slot) => new() { Get = new() { Id = made[slot].Node.Id } };

        V1.Request Release(uint slot, ulong sequence) => new() { Slot = slot, Sequence = sequence, Release = new() { Id = made[slot].Node.Id } };

        static V1.RequestName Named(uint slot) => new() { Slot = slot, Sequence = 1 };
    }

    [Fact]
    public async Task One_that_was_promised_what_is_not_there_is_told_so_and_one_whose_token_is_wrong_is_none()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        await world.CreateDriveAsync("drive");
        PoolMemberNode primary = await world.ServerOfAsync("drive");
        V1.Opened opened;
        using (GrpcChannel channel = world.ChannelTo(world.NumberOf(primary)))
        {
            opened = await channel.UnaryAsync(DriveMethods.Open, new() { Drive = "drive" }, new(), s_none);
        }

        await world.StopAsync(primary);
        using GrpcChannel next = world.ChannelTo(world.NumberOf(await world.ServerOfAsync("drive")));
        V1.SessionKey forged = new(opened.Key) { Token = ByteString.CopyFrom(new byte[16]) };
        Assert.Equal(V1.Status.SessionExpired, (await next.UnaryAsync(DriveMethods.Renew, forged, new(), s_none)).Status);
        V1.Request told = new() { Session = opened.Key.Session, TellHoldings = new() { Epoch = 1, LogIndex = 1 << 20 } };
        V1.Answer answer = await next.UnaryAsync(DriveMethods.Call, new() { Key = opened.Key, Request = told }, new(), s_none);
        Assert.Equal(V1.Status.Lost, answer.Status);

        // It ends by itself: the drive is free for others.
        await using IDriveSession other = await world.OpenSessionAsync("drive");
    }

    private static V1.Create NewFile(string name) => new()
    {
        Parent = new() { Id = VNodeId.Root.Value }, Name = ByteString.CopyFromUtf8(name), Kind = V1.VNodeKind.File, Mode = 0x1A4, Opened = true,
    };

    private static V1.Request Named(V1.Request request, ulong sequence) => new(request) { Sequence = sequence };

    /// <summary>Requests, for short.</summary>
    private static class Ask
    {
        public static ValueTask<Reply<NodeInfo>> CreateAsync(IDriveSession session, string name, SessionId openedBy) =>
            session.CreateAsync(new CreateRequest
            {
                Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = 0x1A4, OpenedBy = openedBy,
            });

        public static ValueTask<Reply<UnlinkResult>> UnlinkAsync(IDriveSession session, string name) =>
            session.UnlinkAsync(new UnlinkRequest { Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name) });
    }
}
