using KvFs.Core;
using KvFs.Node;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Mount.Tests.Drive;

/// <summary>A real node on a folder of its own, with an empty drive.</summary>
internal sealed class NodeFolder : IAsyncDisposable
{
    private const string Drive = "drive";

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-mount-node-").FullName;
    private readonly StorageNode node;

    private NodeFolder(TimeProvider clock) =>
        node = StorageNode.Open(new() { DataPath = folder, Clock = clock }, NullLoggerFactory.Instance);

    public static async Task<NodeFolder> StartAsync(TimeProvider clock)
    {
        NodeFolder started = new(clock);
        DriveSpec spec = new(Drive, DriveKind.FileSystem, QuotaBytes: 0, QuotaInodes: 0);
        Assert.Equal(Status.Ok, (await started.node.Admin.CreateDriveAsync(spec, default)).Status);
        return started;
    }

    /// <summary>A session that has the drive alone: whoever uses it owns it.</summary>
    public async Task<IDriveSession> OpenAsync()
    {
        Reply<IDriveSession> session = await node.Admin.OpenSessionAsync(Drive, SessionAccess.Alone, default);
        Assert.Equal(Status.Ok, session.Status);
        return session.Value;
    }

    public async ValueTask DisposeAsync()
    {
        await node.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }
}
