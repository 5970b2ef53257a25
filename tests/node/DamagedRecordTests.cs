using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests;

/// <summary>A damaged record is an answer, and keeps nobody from what is whole.</summary>
public sealed class DamagedRecordTests : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-node-").FullName;
    private StorageNode? node;

    private StorageNode Node => node!;

    public Task InitializeAsync()
    {
        Open();
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        if (node is not null) { await node.DisposeAsync(); }
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_snapshot_that_is_damaged_while_the_node_runs_is_told_and_its_drive_and_all_others_are_served()
    {
        await Node.DisposeAsync();
        node = null;
        await using QuietNode quiet = QuietNode.Open(folder, shardCount: 64);
        IDriveAdmin admin = quiet.Admin;
        await CreateAsync(admin, "hurt");
        await CreateAsync(admin, "whole");
        Assert.Equal(Status.Ok, (await admin.CreateSnapshotAsync("hurt", "s", default)).Status);
        Damage(quiet.Store, RecordKind.Snapshot);

        Assert.Equal(Status.Corrupt, (await admin.ListSnapshotsAsync("hurt", default)).Status);
        Assert.Equal(Status.Corrupt, (await admin.CloneAsync("hurt", "s", "clone", default)).Status);
        IReadOnlyList<Protocol.DriveInfo> drives = (await admin.ListDrivesAsync(default)).Value;
        Assert.Equal([("hurt", null), ("whole", (int?)0)], drives.Select(drive => (drive.Name, drive.Snapshots)));
        Assert.True(quiet.Work.CorruptRecords > 0);

        IDriveSession session = (await admin.OpenSessionAsync("hurt", SessionAccess.Alone, default)).Value;
        Assert.Equal(Status.Corrupt, (await session.ListSnapshotsAsync()).Status);
        CreateRequest file = new() { Parent = VNodeId.Root, Name = "f"u8, Kind = VNodeKind.File, Mode = 0x1A4 };
        Assert.Equal(Status.Ok, (await session.CreateAsync(file)).Status);

        Damage(quiet.Store, RecordKind.Drive);
        await CreateAsync(admin, "new");
    }

    [Fact]
    public async Task A_drive_that_cannot_be_loaded_is_named()
    {
        await CreateAsync(Node.Admin, "hurt");
        Assert.Equal(Status.Ok, (await Node.Admin.CreateSnapshotAsync("hurt", "s", default)).Status);
        StorageException refused =
            await Assert.ThrowsAsync<StorageException>(() => DamageAsync(RecordKind.Snapshot));
        Assert.Equal(Status.Corrupt, refused.Status);
        Assert.Contains("'hurt'", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_record_of_an_earlier_session_does_not_keep_the_node_from_opening()
    {
        await CreateAsync(Node.Admin, "hurt");
        IDriveSession session = (await Node.Admin.OpenSessionAsync("hurt", SessionAccess.Alone, default)).Value;
        Assert.Equal(Status.Ok, (await session.GrantBlocksAsync(16)).Status);
        Assert.Equal(Status.Ok, await session.SyncAsync());
        await DamageAsync(RecordKind.Session);
        Assert.Contains("damaged", Node.GetStatus().Trouble, StringComparison.Ordinal);
        await using IDriveSession next = (await Node.Admin.OpenSessionAsync("hurt", SessionAccess.Alone, default)).Value;
        Assert.Equal(Status.Ok, (await next.GetAsync(VNodeId.Root, CowNumber.Head)).Status);
    }

    private static async Task CreateAsync(IDriveAdmin admin, string name)
    {
        DriveSpec spec = new(name, DriveKind.FileSystem, QuotaBytes: 0, QuotaInodes: 0);
        Assert.Equal(Status.Ok, (await admin.CreateDriveAsync(spec, default)).Status);
    }

    private void Open() => node = StorageNode.Open(new() { DataPath = folder }, NullLoggerFactory.Instance);

    /// <summary>Closes the node, damages, and opens it again.</summary>
    private async Task DamageAsync(RecordKind kind)
    {
        await Node.DisposeAsync();
        node = null;
        using (JournaledKeyValueStore store = JournaledKeyValueStore.Open(Path.Combine(folder, "db"))) { Damage(store, kind); }
        Open();
    }

    /// <summary>Flips a bit in every record of a kind.</summary>
    private static void Damage(IKeyValueStore store, RecordKind kind)
    {
        const int KindAt = 16;
        KeyValueBatch batch = new();
        using (IRecordCursor cursor = store.OpenCursor(Family.Namespace, default, default))
        {
            while (cursor.MoveNext())
            {
                if (cursor.Key.Length <= KindAt || cursor.Key[KindAt] != (byte)kind) { continue; }
                byte[] value = cursor.Value.ToArray();
                value[^1] ^= 1;
                batch.Put(Family.Namespace, cursor.Key, value);
            }
        }

        Assert.True(batch.Count > 0);
        Assert.Equal(Status.Ok, store.Write(batch, logged: true));
        Assert.Equal(Status.Ok, store.SyncLog());
    }
}
