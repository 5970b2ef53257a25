using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>The whole client, with its caches and its write-behind, on a node in "another process", whose connections break.</summary>
public sealed class DriveClientTests
{
    [Theory]
    [InlineData("tcp", false)]
    [InlineData("tcp", true)]
    [InlineData("grpc", true)]
    [InlineData("unix", false)]
    public async Task Streams_and_small_files_come_back_as_they_were_written(string transport, bool breaks)
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync(transport);
        byte[] stream = Bytes(9_000_000, 1);
        await using (DriveClient client = new(await world.OpenAsync(), new(), TimeProvider.System))
        {
            OpenFile file = await CreateAsync(client, "stream");
            for (int at = 0; at < stream.Length; at += 200_000)
            {
                byte[] part = stream[at..Math.Min(stream.Length, at + 200_000)];
                Assert.Equal(Reply.Ok(part.Length), await client.WriteAsync(file, (ulong)at, part, default));
                if (breaks && at % 1_000_000 == 0) { world.Proxy.Break(); }
            }

            Assert.Equal(Status.Ok, await client.FsyncAsync(file));
            for (int i = 0; i < 50; i++)
            {
                OpenFile small = await CreateAsync(client, $"small{i}");
                Assert.Equal(Reply.Ok(3000), await client.WriteAsync(small, 10, Bytes(3000, i), default));
                Assert.Equal(Status.Ok, await client.CloseAsync(small));
                if (breaks && i % 10 == 0) { world.Proxy.Break(); }
            }

            Assert.Equal(Status.Ok, await client.CloseAsync(file));
            Assert.Equal(Status.Ok, await client.SyncAllAsync());
        }

        // Not from a cache: another client, and one in the node's own process.
        await using (DriveClient client = new(await world.OpenAsync(), new(), TimeProvider.System))
        {
            CheckSame(stream, await ReadAsync(client, "stream"));
        }

        Reply<IDriveSession> local = await world.Local.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, CancellationToken.None);
        await using DriveClient near = new(local.Value, new(), TimeProvider.System);
        CheckSame(stream, await ReadAsync(near, "stream"));
        for (int i = 0; i < 50; i++)
        {
            byte[] expected = [.. new byte[10], .. Bytes(3000, i)];
            Assert.Equal(expected, await ReadAsync(near, $"small{i}"));
        }
    }

    [Fact]
    public async Task A_snapshot_holds_what_a_client_had_only_buffered()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using DriveClient client = new(await world.OpenAsync(), new(), TimeProvider.System);
        OpenFile file = await CreateAsync(client, "f");
        Assert.Equal(Reply.Ok(5), await client.WriteAsync(file, 0, "saved"u8.ToArray(), default));
        Reply<SnapshotInfo> snapshot = await world.Admin.CreateSnapshotAsync(RemoteWorld.Drive, "s", CancellationToken.None);
        Assert.Equal(Status.Ok, snapshot.Status);
        Assert.Equal(Reply.Ok(5), await client.WriteAsync(file, 0, "later"u8.ToArray(), default));
        Assert.Equal("later", Encoding.UTF8.GetString(await ReadAsync(client, "f")));
        Assert.Equal("saved", Encoding.UTF8.GetString(await ReadAsync(client, "f", snapshot.Value.At)));
        Assert.Equal(Status.Ok, await world.Admin.RestoreAsync(RemoteWorld.Drive, "s", "/", CancellationToken.None));
        Assert.Equal("saved", Encoding.UTF8.GetString(await ReadAsync(client, "f")));
        Assert.Equal(Status.Ok, await client.CloseAsync(file));
    }

    [Fact]
    public async Task A_client_whose_session_is_lost_says_so_at_the_next_sync()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync("grpc", options: new() { Lease = FaultTests.s_briefLease });
        await using DriveClient client = new(await world.OpenAsync(), new(), TimeProvider.System);
        OpenFile file = await CreateAsync(client, "f");
        Assert.Equal(Reply.Ok(5), await client.WriteAsync(file, 0, "hello"u8.ToArray(), default));
        world.Proxy.Cut();
        Assert.NotEqual(Status.Ok, await client.FsyncAsync(file));
        world.Proxy.Mend();
        Assert.NotEqual(Status.Ok, await client.SyncAllAsync());
    }

    private static async Task<OpenFile> CreateAsync(DriveClient client, string name)
    {
        ValueTask<Reply<CreatedFile>> created = client.CreateOpenAsync(new CreateRequest
        {
            Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = 0x1A4,
        });
        Reply<CreatedFile> reply = await created;
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value.File;
    }

    private static async Task<byte[]> ReadAsync(DriveClient client, string name, CowNumber? at = null)
    {
        CowNumber version = at ?? CowNumber.Head;
        Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, Encoding.UTF8.GetBytes(name), version);
        Assert.Equal(Status.Ok, found.Status);
        Reply<OpenFile> opened = await client.OpenAsync(found.Value.Id, version);
        using MemoryStream content = new();
        byte[] buffer = new byte[128 << 10];
        while (true)
        {
            Reply<int> reply = await client.ReadAsync(opened.Value, (ulong)content.Length, buffer);
            Assert.Equal(Status.Ok, reply.Status);
            if (reply.Value == 0) { break; }
            content.Write(buffer, 0, reply.Value);
        }

        Assert.Equal(Status.Ok, await client.CloseAsync(opened.Value));
        return content.ToArray();
    }

    private static void CheckSame(byte[] expected, byte[] actual) => Assert.True(expected.AsSpan().SequenceEqual(actual));

    private static byte[] Bytes(int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
