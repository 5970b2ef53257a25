using System.Collections.Concurrent;
using KvFs.Client;
using KvFs.Core;
using KvFs.Integration.Tests.Native;
using KvFs.Mount;
using KvFs.Node;
using KvFs.Node.Checking;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Integration.Tests.Drives;

/// <summary>A node on a folder of its own, with a drive, mounted: the whole of KvFs in this process.</summary>
/// <remarks>Disposing it unmounts, whatever state the test left it in, and removes the folder. Faults of the mount fail the
/// test when it is disposed or restarted.</remarks>
internal sealed class RestartableDrive : IAsyncDisposable
{
    /// <summary>Of the drive that every test gets.</summary>
    public const string Name = "proof";

    private readonly TestFolder folder;
    private readonly bool ownsFolder;
    private readonly bool isBuffered;
    private readonly ConcurrentQueue<FuseFault> faults = new();
    private readonly ConcurrentQueue<string> lost = new();
    private StorageNode? node;
    private DriveMount? mount;

    private RestartableDrive(TestFolder folder, bool ownsFolder, bool isBuffered)
    {
        this.folder = folder;
        this.ownsFolder = ownsFolder;
        this.isBuffered = isBuffered;
    }

    /// <summary>Where it is mounted.</summary>
    public string Path => folder.Mount;

    public IDriveAdmin Admin => node!.Admin;

    /// <summary>Mounts a new drive.</summary>
    public static Task<RestartableDrive> StartAsync() => OpenAsync(new(new TestFolder(), ownsFolder: true, isBuffered: false));

    /// <summary>Mounts the drive of a folder, which is made if it is not there. The folder stays the caller's.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="isBuffered">The mount tells the node of changes behind its answers, as one of a pool does.</param>
    public static Task<RestartableDrive> StartAsync(TestFolder folder, bool isBuffered = false) =>
        OpenAsync(new(folder, ownsFolder: false, isBuffered));

    /// <summary>Stops everything in order and starts it again on the same folder.</summary>
    public async Task RestartAsync()
    {
        await StopAsync();
        await BeginAsync();
    }

    /// <summary>Unmounts and stops the node, as somebody would who loses nothing.</summary>
    public async Task StopAsync()
    {
        if (mount is not null) { await mount.UnmountAsync(lazy: false); }
        mount = null;
        if (node is not null) { await node.DisposeAsync(); }
        node = null;
        Assert.True(faults.IsEmpty && lost.IsEmpty, string.Join('\n', [.. faults, .. lost]));
    }

    /// <summary>Unmounts, and checks every record and every stored byte of the node.</summary>
    public async Task<NodeCheckReport> UnmountAndCheckAsync()
    {
        await mount!.UnmountAsync(lazy: false);
        mount = null;
        return node!.Check(new(ReadBytes: true, Repair: false), null, CancellationToken.None);
    }

    /// <summary>Mounts another drive of the node; the caller disposes it before this.</summary>
    public async Task<DriveMount> MountAsync(string drive, string path)
    {
        Reply<IDriveSession> session = await Admin.OpenSessionAsync(drive, SessionAccess.Alone, default);
        Assert.Equal(Status.Ok, session.Status);
        Directory.CreateDirectory(path);
        return DriveMount.Start(isBuffered ? Buffer(session.Value) : session.Value, path, MountOptions(drive));
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (mount is not null) { await mount.DisposeAsync(); }
            if (node is not null) { await node.DisposeAsync(); }
        }
        finally
        {
            if (ownsFolder) { folder.Dispose(); }
        }

        Assert.True(faults.IsEmpty && lost.IsEmpty, string.Join('\n', [.. faults, .. lost]));
    }

    private static async Task<RestartableDrive> OpenAsync(RestartableDrive drive)
    {
        try
        {
            await drive.BeginAsync();
            return drive;
        }
        catch
        {
            await drive.DisposeAsync();
            throw;
        }
    }

    private async Task BeginAsync()
    {
        node = StorageNode.Open(new() { DataPath = folder.Data }, NullLoggerFactory.Instance);
        if ((await Admin.GetDriveAsync(Name, default)).Status == Status.NotFound)
        {
            DriveSpec spec = new(Name, DriveKind.FileSystem, QuotaBytes: 0, QuotaInodes: 0);
            Assert.Equal(Status.Ok, (await Admin.CreateDriveAsync(spec, default)).Status);
        }

        mount = await MountAsync(Name, folder.Mount);
    }

    private BufferedDriveSession Buffer(IDriveSession session) => new(session, static () => true, TimeProvider.System)
    {
        Lost = (status, operations) => lost.Enqueue($"{status}: {operations[0]}"),
    };

    /// <summary>As a drive is mounted by root, with everything that a local file system has; else without device nodes and
    /// without other users, which need root.</summary>
    private DriveMountOptions MountOptions(string drive)
    {
        bool isRoot = LibC.geteuid() == 0;
        return new()
        {
            FsName = drive, AllowOther = isRoot, AllowDevices = isRoot, AllowSetId = isRoot, OnFault = faults.Enqueue,
        };
    }
}
