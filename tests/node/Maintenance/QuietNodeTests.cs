using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Tests.Maintenance;

/// <summary>Tests that have a quiet node over a folder of their own each.</summary>
public abstract class QuietNodeTests : IAsyncLifetime
{
    private QuietNode? node;

    private protected string Folder { get; } = Directory.CreateTempSubdirectory("kvfs-quiet-").FullName;

    private protected QuietNode Node => node!;

    public Task InitializeAsync()
    {
        node = QuietNode.Open(Folder);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await CloseAsync();
        Directory.Delete(Folder, recursive: true);
    }

    private protected async Task CloseAsync()
    {
        if (node is not null) { await node.DisposeAsync(); }
        node = null;
    }

    /// <summary>Closes the node, and opens it again.</summary>
    private protected async Task OpenAgainAsync()
    {
        await CloseAsync();
        node = QuietNode.Open(Folder);
    }

    /// <summary>Makes a drive and opens a session with it.</summary>
    private protected async Task<IDriveSession> OpenAsync(string drive)
    {
        Assert.Equal(
            Status.Ok, (await Node.Admin.CreateDriveAsync(new(drive, DriveKind.FileSystem, 0, 0), default)).Status);
        return (await Node.Admin.OpenSessionAsync(drive, SessionAccess.Alone, default)).Value;
    }

    private protected static async Task<VNodeId> CreateAsync(IDriveSession session, string name)
    {
        CreateRequest request = new()
        {
            Parent = VNodeId.Root,
            Name = System.Text.Encoding.UTF8.GetBytes(name),
            Kind = VNodeKind.File,
            Mode = 0b110_100_100,
        };
        return (await session.CreateAsync(in request)).Value.Id;
    }
}
