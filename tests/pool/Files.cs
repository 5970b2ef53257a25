using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Node;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

/// <summary>Files in the root of a drive.</summary>
internal static class Files
{
    /// <summary>Makes a drive with two files, f and g, and tells which node serves it when nothing is about to move any more.</summary>
    public static async Task<(DriveId Drive, PoolMemberNode Primary)> MakeDriveAsync(PoolWorld world, string name, byte[] content)
    {
        DriveInfo drive = await world.CreateDriveAsync(name);
        await using (DriveClient client = new(await world.OpenSessionAsync(name), new(), TimeProvider.System))
        {
            await WriteAsync(client, "f", content);
            await WriteAsync(client, "g", content);
        }

        await world.WholeAsync();
        return (drive.Id, await world.ServerOfAsync(name));
    }

    public static async Task WriteAsync(DriveClient client, string name, byte[] content)
    {
        OpenFile file = await CreateAsync(client, name);
        Assert.Equal(Reply.Ok(content.Length), await client.WriteAsync(file, 0, content, default));
        Assert.Equal(Status.Ok, await client.FsyncAsync(file));
        Assert.Equal(Status.Ok, await client.CloseAsync(file));
    }

    public static async Task<OpenFile> CreateAsync(DriveClient client, string name)
    {
        ValueTask<Reply<CreatedFile>> created = client.CreateOpenAsync(new CreateRequest
        {
            Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = 0x1A4,
        });
        Reply<CreatedFile> file = await created;
        Assert.Equal(Status.Ok, file.Status);
        return file.Value.File;
    }

    public static async Task UnlinkAsync(DriveClient client, string name)
    {
        ValueTask<Reply<UnlinkResult>> unlinked = client.UnlinkAsync(
            new UnlinkRequest { Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name) });
        Assert.Equal(Status.Ok, (await unlinked).Status);
    }

    public static Task<byte[]> ReadAsync(DriveClient client, string name) => ReadAsync(client, name, CowNumber.Head);

    /// <summary>Reads all of a file as a version has it.</summary>
    public static async Task<byte[]> ReadAsync(DriveClient client, string name, CowNumber at)
    {
        Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, Encoding.UTF8.GetBytes(name), at);
        Assert.Equal(Status.Ok, found.Status);
        Reply<OpenFile> opened = await client.OpenAsync(found.Value.Id, at);
        byte[] content = new byte[found.Value.VNode.Size];
        for (int read = 0; read < content.Length;)
        {
            Reply<int> reply = await client.ReadAsync(opened.Value, (ulong)read, content.AsMemory(read));
            Assert.Equal(Status.Ok, reply.Status);
            Assert.NotEqual(0, reply.Value);
            read += reply.Value;
        }

        Assert.Equal(Status.Ok, await client.CloseAsync(opened.Value));
        return content;
    }

    public static byte[] Bytes(int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
