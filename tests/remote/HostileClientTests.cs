using System.Buffers.Binary;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Checking;
using KvFs.Protocol;
using KvFs.Protocol.Wire;

namespace KvFs.Remote.Tests;

/// <summary>Clients that say what no client of ours would: each gets a clear answer, and nobody else loses anything.</summary>
public sealed class HostileClientTests
{
    private static readonly CancellationToken s_none = CancellationToken.None;

    [Fact]
    public async Task Who_has_not_the_session_and_its_token_is_told_that_it_has_expired()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        using GrpcChannel channel = world.NewChannel();
        V1.SessionKey key = (await OpenAsync(channel)).Key;
        byte[] token = key.Token.ToByteArray();
        token[15] ^= 1;
        V1.SessionKey[] wrong =
        [
            new(key) { Token = ByteString.CopyFrom(token) },
            new(key) { Token = ByteString.CopyFrom(token, 0, 15) },
            new(key) { Token = ByteString.Empty },
            new(key) { Session = key.Session + 1 },
            new(key) { Session = 0 },
            new(key) { Drive = ByteString.CopyFrom(token) },
            new(key) { Drive = ByteString.CopyFrom(1, 2) },
            new(),
        ];
        foreach (V1.SessionKey each in wrong)
        {
            V1.Request request = new() { Session = each.Session, Sync = new() };
            Assert.Equal(V1.Status.SessionExpired, (await CallAsync(channel, each, request)).Status);
            Assert.Equal(V1.Status.SessionExpired, (await AskAsync(channel, DriveMethods.Renew, each)).Status);
            Assert.Equal(V1.Status.SessionExpired, (await AskAsync(channel, DriveMethods.Close, each)).Status);
            using var stream = await StartAsync(channel, new() { Resume = each });
            Assert.Equal(V1.Status.SessionExpired, (await NextAsync(stream)).Opened.Status);
            Assert.False(await stream.WaitToReadAsync());
            V1.WriteHead head = new() { Key = each, Block = new() { Owner = key.Drive, Id = 1 }, Length = 1 };
            Assert.Equal(V1.Status.SessionExpired, await WriteAsync(channel, new V1.WriteChunk { Head = head }));
            V1.ReadRequest read = new() { Key = each, Block = head.Block, Length = 1 };
            Assert.Equal(V1.Status.SessionExpired, await ReadStatusAsync(channel, read));
        }

        Assert.Equal(V1.Status.SessionExpired, (await AskAsync(channel, DriveMethods.Call, new V1.CallRequest())).Status);
        V1.Request other = new() { Session = key.Session + 1, Sync = new() };
        Assert.Equal(V1.Status.SessionExpired, (await CallAsync(channel, key, other)).Status);
        Assert.Equal(V1.Status.Ok, (await CallAsync(channel, key, new() { Session = key.Session, Sync = new() })).Status);
        Assert.Equal(V1.Status.Ok, (await AskAsync(channel, DriveMethods.Close, key)).Status);
        Assert.Equal(V1.Status.SessionExpired, (await AskAsync(channel, DriveMethods.Close, key)).Status);
    }

    [Fact]
    public async Task A_stream_that_breaks_the_rules_ends_and_its_session_goes_on()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        using GrpcChannel channel = world.NewChannel();
        V1.SessionKey key = (await OpenAsync(channel)).Key;
        V1.ClientMessage[] noBeginning = [new(), new() { Renew = new() }, new() { Request = new() }, new() { Close = new() }];
        foreach (V1.ClientMessage first in noBeginning)
        {
            using var stream = await StartAsync(channel, first);
            Assert.Equal(GrpcStatusCode.InvalidArgument, await EndAsync(stream));
        }

        V1.ClientMessage[] noMiddle = [new(), new() { Open = new() { Drive = RemoteWorld.Drive } }, new() { Resume = key }];
        foreach (V1.ClientMessage later in noMiddle)
        {
            using var stream = await StartAsync(channel, new() { Resume = key });
            Assert.Equal(V1.Status.Ok, (await NextAsync(stream)).Opened.Status);
            await stream.Requests!.WriteAsync(later, s_none);
            Assert.Equal(GrpcStatusCode.InvalidArgument, await EndAsync(stream));
        }

        // Of two streams the newer one has the session.
        using var older = await StartAsync(channel, new() { Resume = key });
        Assert.Equal(V1.Status.Ok, (await NextAsync(older)).Opened.Status);
        using var newer = await StartAsync(channel, new() { Resume = key });
        Assert.Equal(V1.Status.Ok, (await NextAsync(newer)).Opened.Status);
        Assert.Equal(GrpcStatusCode.Aborted, await EndAsync(older));
        await newer.Requests!.WriteAsync(new() { Request = new() { Id = 7, Session = key.Session } }, s_none);
        V1.Answer unknown = (await NextAsync(newer)).Answer;
        Assert.Equal((7UL, V1.Status.NotSupported), (unknown.Id, unknown.Status));
        await newer.Requests.WriteAsync(new() { Cancel = new() { Id = 99 } }, s_none);
        await newer.Requests.WriteAsync(new() { RecallDone = new() { Id = 99 } }, s_none);
        await newer.Requests.WriteAsync(new() { Close = new() }, s_none);
        Assert.Equal(V1.Status.Ok, (await NextAsync(newer)).Closed.Status);
        Assert.False(await newer.WaitToReadAsync());
    }

    [Fact]
    public async Task A_change_is_applied_once_under_its_name()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        using GrpcChannel channel = world.NewChannel();
        V1.SessionKey key = (await OpenAsync(channel)).Key;
        V1.Request Grant(uint slot, ulong sequence) =>
            new() { Session = key.Session, Id = 1, Slot = slot, Sequence = sequence, GrantBlocks = new() { Count = 3 } };
        V1.Answer first = await CallAsync(channel, key, Grant(5, 1));
        Assert.Equal(V1.Status.Ok, first.Status);
        Assert.True(first.Epoch > 0 && first.LogIndex > 0);
        Assert.Equal(first, await CallAsync(channel, key, Grant(5, 1)));
        V1.Answer other = await CallAsync(channel, key, new(Grant(5, 1)) { Id = 2 });
        Assert.Equal(new(first) { Id = 2 }, other);
        V1.Answer second = await CallAsync(channel, key, Grant(5, 2));
        Assert.Equal(first.Number + 3, second.Number);
        Assert.True(second.LogIndex > first.LogIndex);
        Assert.Equal(V1.Status.Invalid, (await CallAsync(channel, key, Grant(5, 1))).Status);
        Assert.Equal(V1.Status.Invalid, (await CallAsync(channel, key, Grant(1024, 1))).Status);
        Assert.Equal(V1.Status.Invalid, (await CallAsync(channel, key, Grant(uint.MaxValue, 1))).Status);
        Assert.Equal(second.Number + 3, (await CallAsync(channel, key, Grant(0, 0))).Number);
        Assert.Equal(second.Number + 6, (await CallAsync(channel, key, Grant(0, 0))).Number);

        // What was not applied is decided anew, even under its old name; what failed for good is not.
        V1.Request taken = new() { Session = key.Session, Slot = 6, Sequence = 1, Unlink = new() { Parent = Root(), Name = Text("a") } };
        Assert.Equal(V1.Status.NotFound, (await CallAsync(channel, key, taken)).Status);
        V1.Request create = new() { Session = key.Session, Create = new() { Parent = Root(), Name = Text("a"), Kind = V1.VNodeKind.File } };
        V1.Answer created = await CallAsync(channel, key, create);
        Assert.Equal(V1.Status.Ok, created.Status);
        Assert.Equal(V1.Status.NotFound, (await CallAsync(channel, key, taken)).Status);

        // A commit says whether it is durable, if it was asked.
        V1.FileCommit file = new() { Node = new() { Id = created.Node.Id }, MinSize = 5 };
        V1.Request Commit(uint slot, bool durable) => new()
        {
            Session = key.Session, Slot = slot, Sequence = 1, Commit = new() { Durable = durable, Commits = { file } },
        };
        Assert.False((await CallAsync(channel, key, Commit(7, false))).Durable);
        V1.Answer durable = await CallAsync(channel, key, Commit(8, true));
        Assert.Equal(V1.Status.Ok, durable.Status);
        Assert.True(durable.Durable);
        Assert.Equal(durable, await CallAsync(channel, key, Commit(8, true)));
        V1.Answer synced = await CallAsync(channel, key, new() { Session = key.Session, Sync = new() });
        Assert.True(synced.LogIndex > second.LogIndex);
    }

    [Fact]
    public async Task Blocks_that_are_not_what_they_say_are_refused()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        using GrpcChannel channel = world.NewChannel();
        V1.SessionKey key = (await OpenAsync(channel)).Key;
        V1.Request grant = new() { Session = key.Session, Id = 1, Slot = 0, Sequence = 1, GrantBlocks = new() { Count = 1 } };
        V1.BlockName name = new() { Owner = key.Drive, Id = (await CallAsync(channel, key, grant)).Number };
        V1.WriteHead head = new() { Key = key, Block = name, Length = 10 };
        V1.WriteChunk ten = Chunk(10);
        V1.WriteChunk With(V1.WriteHead with) => new(ten) { Head = with };
        Assert.Equal(V1.Status.Corrupt, await WriteAsync(channel, new V1.WriteChunk(With(head)) { Crc32C = 1 }));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, With(new(head) { Length = 11 })));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, With(new(head) { Length = 9 })));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, With(new(head) { Length = 0 })));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, With(new(head) { Length = uint.MaxValue })));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, With(head), ten));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, With(new(head) { Length = 20 }), With(head)));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, new V1.WriteChunk(Chunk((1 << 20) + 1)) { Head = new(head) { Length = 2 << 20 } }));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, With(new(head) { Block = null })));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, With(new(head) { Block = new(name) { Id = 0 } })));
        Assert.Equal(V1.Status.Invalid, await WriteAsync(channel, With(new(head) { Block = new(name) { Owner = key.Token } })));
        GrpcException headless = await Assert.ThrowsAsync<GrpcException>(() => WriteAsync(channel, ten));
        Assert.Equal(GrpcStatusCode.InvalidArgument, headless.Code);
        Assert.Equal(V1.Status.Conflict, await WriteAsync(channel, With(new(head) { Block = new(name) { Id = name.Id + 1 } })));
        V1.ReadRequest read = new() { Key = key, Block = name, Length = 10 };
        Assert.Equal(V1.Status.NotFound, await ReadStatusAsync(channel, read));

        Assert.Equal(V1.Status.Ok, await WriteAsync(channel, new(Chunk(4)) { Head = head }, Chunk(0), Chunk(6)));
        Assert.Equal(V1.Status.Ok, await ReadStatusAsync(channel, read));
        Assert.Equal(V1.Status.Invalid, await ReadStatusAsync(channel, new(read) { Length = 11 }));
        Assert.Equal(V1.Status.Invalid, await ReadStatusAsync(channel, new(read) { Length = 0 }));
        Assert.Equal(V1.Status.Invalid, await ReadStatusAsync(channel, new(read) { Offset = uint.MaxValue, Length = uint.MaxValue }));
        Assert.Equal(V1.Status.Invalid, await ReadStatusAsync(channel, new(read) { Offset = 1 }));
        Assert.Equal(V1.Status.Invalid, await ReadStatusAsync(channel, new(read) { Block = null }));
        V1.PrefetchRequest prefetch = new() { Key = key, Block = name, Offset = uint.MaxValue, Length = uint.MaxValue };
        await AskAsync(channel, BlockMethods.Prefetch, prefetch);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Random_bytes_on_a_stream_end_it_and_harm_nobody(int seed)
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        using GrpcChannel channel = world.NewChannel();
        await using IDriveSession victim = await world.OpenAsync();
        RandomMessages random = new(seed);
        foreach (string path in (string[])["Session", "Open", "Call", "Renew", "Close"])
        {
            GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> method =
                new(GrpcMethodKind.Duplex, DriveMethods.Session.Service, path, Marshaller.Bytes, Marshaller.Bytes);
            for (int round = 0; round < 100; round++)
            {
                using var call = channel.Start(method, GrpcCallOptions.None, s_none);
                call.Requests!.Write(random.Bytes(200));
                if (round % 3 == 0) { call.Requests.Write(random.Next<V1.ClientMessage>().ToByteArray()); }
                try
                {
                    await call.CompleteAsync();
                    while (await call.WaitToReadAsync()) { call.TryRead(out _); }
                }
                catch (GrpcException e)
                {
                    Assert.DoesNotContain(e.Code, (GrpcStatusCode[])[GrpcStatusCode.Unknown, GrpcStatusCode.Unavailable]);
                }
            }

            Assert.Equal(Status.Ok, (await victim.CreateAsync($"still here {path}")).Status);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Random_requests_are_answered_and_leave_the_drive_whole(int seed)
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        using GrpcChannel channel = world.NewChannel();
        V1.SessionKey key = (await OpenAsync(channel)).Key;
        RandomMessages random = new(seed);
        HashSet<V1.Status> seen = [];
        for (int round = 0; round < 2500; round++)
        {
            V1.Request request = random.Next<V1.Request>();
            request.Session = key.Session;
            if (random.Below(2) == 0) { request.Sequence = 0; }

            // Nobody lets go of it here.
            if (request.SetLock is { } set) { set.Wait = false; }
            if (request.CalculateSize() > WireLimits.RequestBytes / 2) { continue; }

            // No block has the checksum of its bytes by chance, and is told so.
            bool isDamaged = request.WriteBlock is not null;
            V1.Answer answer = await CallAsync(channel, key, request);
            Assert.True(Enum.IsDefined(answer.Status), $"seed {seed}, round {round}: {request}");
            Assert.False(
                answer.Status is V1.Status.Unknown or V1.Status.IoError or V1.Status.SessionExpired
                    || (answer.Status == V1.Status.Corrupt && !isDamaged),
                $"seed {seed}, round {round}: {answer.Status} for {request.OperationCase} {request}");
            seen.Add(answer.Status);
        }

        Assert.InRange(seen.Count, 8, int.MaxValue);
        Assert.Equal(V1.Status.Ok, (await AskAsync(channel, DriveMethods.Close, key)).Status);
        NodeCheckReport report = world.Node.Check(new() { ReadBytes = true }, null, s_none);
        Assert.Empty(report.Problems);
    }

    private static async Task<V1.Opened> OpenAsync(GrpcChannel channel)
    {
        V1.Opened opened = await AskAsync(channel, DriveMethods.Open, new V1.OpenSession { Drive = RemoteWorld.Drive });
        Assert.Equal(V1.Status.Ok, opened.Status);
        return opened;
    }

    private static async Task<TReply> AskAsync<TRequest, TReply>(
        GrpcChannel channel, GrpcMethod<TRequest, TReply> method, TRequest request) =>
        await channel.UnaryAsync(method, request, new() { Limits = WireLimits.OfClient }, s_none);

    private static Task<V1.Answer> CallAsync(GrpcChannel channel, V1.SessionKey key, V1.Request request) =>
        AskAsync(channel, DriveMethods.Call, new V1.CallRequest { Key = key, Request = request });

    private static async Task<GrpcCall<V1.ClientMessage, V1.ServerMessage>> StartAsync(GrpcChannel channel, V1.ClientMessage first)
    {
        GrpcCall<V1.ClientMessage, V1.ServerMessage> stream = channel.Start(DriveMethods.Session, GrpcCallOptions.None, s_none);
        await stream.Requests!.WriteAsync(first, s_none);
        return stream;
    }

    private static async Task<V1.ServerMessage> NextAsync(GrpcCall<V1.ClientMessage, V1.ServerMessage> stream)
    {
        Assert.True(await stream.WaitToReadAsync());
        Assert.True(stream.TryRead(out V1.ServerMessage message));
        return message;
    }

    private static async Task<GrpcStatusCode> EndAsync(GrpcCall<V1.ClientMessage, V1.ServerMessage> stream) =>
        (await Assert.ThrowsAsync<GrpcException>(() => stream.WaitToReadAsync().AsTask())).Code;

    private static async Task<V1.Status> WriteAsync(GrpcChannel channel, params V1.WriteChunk[] chunks)
    {
        using GrpcCall<V1.WriteChunk, V1.WriteReply> call = channel.Start(BlockMethods.Write, GrpcCallOptions.None, s_none);
        foreach (V1.WriteChunk chunk in chunks) { call.Requests!.Write(chunk); }
        await call.CompleteAsync();
        return (await call.ReadOnlyOneAsync()).Status;
    }

    private static async Task<V1.Status> ReadStatusAsync(GrpcChannel channel, V1.ReadRequest request)
    {
        using var call = channel.ServerStreaming(BlockMethods.Read, request, GrpcCallOptions.None, s_none);
        V1.Status status = V1.Status.Ok;
        await foreach (V1.ReadChunk chunk in call.ReadAllAsync(s_none)) { status = chunk.Status; }
        return status;
    }

    private static V1.WriteChunk Chunk(int length)
    {
        byte[] data = new byte[length];
        if (length >= 4) { BinaryPrimitives.WriteInt32LittleEndian(data, length); }
        return new() { Data = ByteString.CopyFrom(data), Crc32C = length == 0 ? 0 : Crc32C.Compute(data) };
    }

    private static V1.NodeReference Root() => new() { Id = 1 };

    private static ByteString Text(string text) => ByteString.CopyFromUtf8(text);
}
