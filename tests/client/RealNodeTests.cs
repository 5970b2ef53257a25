using System.Text;
using KvFs.Core;
using KvFs.Node;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Client.Tests;

/// <summary>The client on a real node in the same process: RocksDB and idvd in a folder.</summary>
public sealed class RealNodeTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-client-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Streams_and_small_files_are_there_after_the_node_was_started_anew()
    {
        byte[] stream = ClientWorld.Bytes(37_000_000, 1);
        await With(create: true, async client =>
        {
            OpenFile file = await Create(client, "stream");
            for (int at = 0; at < stream.Length; at += 200_000)
            {
                byte[] part = stream[at..Math.Min(stream.Length, at + 200_000)];
                Assert.Equal(Reply.Ok(part.Length), await client.WriteAsync(file, (ulong)at, part, default));
            }

            Assert.Equal(Status.Ok, await client.FsyncAsync(file));
            for (int i = 0; i < 100; i++)
            {
                OpenFile small = await Create(client, $"small{i}");
                Assert.Equal(Reply.Ok(3000), await client.WriteAsync(small, 10, ClientWorld.Bytes(3000, i), default));
                Assert.Equal(Status.Ok, await client.CloseAsync(small));
            }

            Assert.Equal(Status.Ok, await client.CloseAsync(file));
            Assert.Equal(Status.Ok, await client.SyncAllAsync());
        });
        await With(create: false, async client =>
        {
            ClientWorld.CheckSame(stream, await ReadAll(client, "stream", 128 << 10));
            for (int i = 0; i < 100; i++)
            {
                byte[] expected = [.. new byte[10], .. ClientWorld.Bytes(3000, i)];
                ClientWorld.CheckSame(expected, await ReadAll(client, $"small{i}", 100_000));
            }
        });
    }

    [Fact]
    public async Task Many_threads_on_many_files_find_what_they_wrote()
    {
        await With(create: true, async client =>
        {
            await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
            {
                byte[] expected = new byte[3_000_000];
                Random random = new(worker);
                OpenFile file = await Create(client, $"f{worker}");
                for (int step = 0; step < 300; step++)
                {
                    byte[] data = ClientWorld.Bytes(random.Next(1, step % 10 == 0 ? 300_000 : 6_000), random.Next());
                    int offset = random.Next(expected.Length - data.Length);
                    Assert.Equal(
                        Reply.Ok(data.Length), await client.WriteAsync(file, (ulong)offset, data, default));
                    data.CopyTo(expected, offset);
                    if (step % 20 == 0) { Assert.Equal(Status.Ok, await client.FsyncAsync(file)); }
                }

                Reply<NodeInfo> cut = await client.SetAttributesAsync(
                    new SetAttributesRequest { Node = file.Id, Mask = AttributeMask.Size, Size = 3_000_000 });
                Assert.Equal(Status.Ok, cut.Status);
                ClientWorld.CheckSame(expected, await ReadAll(client, $"f{worker}", 64 << 10));
            })));
            Assert.Equal(Status.Ok, await client.SyncAllAsync());
            Assert.Equal(0, client.DirtyMemory.RentedBuffers);
        });
    }

    private static async Task<OpenFile> Create(DriveClient client, string name)
    {
        ValueTask<Reply<CreatedFile>> created = client.CreateOpenAsync(new CreateRequest
        {
            Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = 0x1A4,
        });
        Reply<CreatedFile> reply = await created;
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value.File;
    }

    private static async Task<byte[]> ReadAll(DriveClient client, string name, int step)
    {
        Reply<NodeInfo> found = await client.LookupAsync(
            VNodeId.Root, Encoding.UTF8.GetBytes(name), CowNumber.Head);
        Reply<OpenFile> opened = await client.OpenAsync(found.Value.Id, CowNumber.Head);
        Assert.Equal(Status.Ok, opened.Status);
        using MemoryStream content = new();
        byte[] buffer = new byte[step];
        for (; ; )
        {
            Reply<int> reply = await client.ReadAsync(opened.Value, (ulong)content.Length, buffer);
            Assert.Equal(Status.Ok, reply.Status);
            if (reply.Value == 0) { break; }
            content.Write(buffer, 0, reply.Value);
        }

        Assert.Equal(Status.Ok, await client.CloseAsync(opened.Value));
        return content.ToArray();
    }

    private async Task With(bool create, Func<DriveClient, Task> use)
    {
        await using StorageNode node = StorageNode.Open(new() { DataPath = folder }, NullLoggerFactory.Instance);
        if (create)
        {
            Reply<KvFs.Protocol.DriveInfo> made = await node.Admin.CreateDriveAsync(
                new("test", DriveKind.FileSystem, 0, 0), CancellationToken.None);
            Assert.Equal(Status.Ok, made.Status);
        }

        Reply<IDriveSession> session = await node.Admin.OpenSessionAsync("test", SessionAccess.Alone, CancellationToken.None);
        Assert.Equal(Status.Ok, session.Status);
        await using DriveClient client = new(session.Value, new(), TimeProvider.System);
        await use(client);
    }
}
