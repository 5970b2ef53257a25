using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>Clients that share the world's drive, and files in its root.</summary>
internal static class SharedFiles
{
    public static async Task<DriveClient> OpenAsync(RemoteWorld world) =>
        new(SessionMemory.Around(await world.OpenAsync(SessionAccess.Shared), TimeProvider.System), new(), TimeProvider.System);

    public static CreateRequest RequestFor(string name) => new()
    {
        Parent = VNodeId.Root, Name = Encoding.UTF8.GetBytes(name), Kind = VNodeKind.File, Mode = 0x1A4,
    };

    public static async Task<OpenFile> CreateAsync(DriveClient client, string name)
    {
        ValueTask<Reply<CreatedFile>> creating = client.CreateOpenAsync(RequestFor(name));
        Reply<CreatedFile> created = await creating;
        Assert.Equal(Status.Ok, created.Status);
        return created.Value.File;
    }

    public static async Task<OpenFile> FindAsync(DriveClient client, string name)
    {
        Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, Encoding.UTF8.GetBytes(name), CowNumber.Head);
        Assert.Equal(Status.Ok, found.Status);
        Reply<OpenFile> file = await client.OpenAsync(found.Value.Id, CowNumber.Head);
        Assert.Equal(Status.Ok, file.Status);
        return file.Value;
    }
}
