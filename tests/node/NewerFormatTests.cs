using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests;

/// <summary>A newer version of KvFs wrote a record that a start needs: the message says that it is needed, nothing is changed, and
/// with the old record back everything is there.</summary>
public sealed class NewerFormatTests : IAsyncLifetime
{
    /// <summary>Where the kind is in a key of the namespace.</summary>
    private const int KindAt = 16;

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-node-").FullName;

    public async Task InitializeAsync()
    {
        await using StorageNode node = Open();
        DriveSpec spec = new("kept", DriveKind.FileSystem, QuotaBytes: 0, QuotaInodes: 0) { Spread = 100 };
        Assert.Equal(Status.Ok, (await node.Admin.CreateDriveAsync(spec, default)).Status);
        await using IDriveSession session = (await node.Admin.OpenSessionAsync("kept", SessionAccess.Alone, default)).Value;
        CreateRequest file = new() { Parent = VNodeId.Root, Name = "f"u8, Kind = VNodeKind.File, Mode = 0x1A4 };
        Assert.Equal(Status.Ok, (await session.CreateAsync(file)).Status);
        Assert.Equal(Status.Ok, await session.SyncAsync());
    }

    public Task DisposeAsync()
    {
        Directory.Delete(folder, recursive: true);
        return Task.CompletedTask;
    }

    [Fact]
    public Task The_identity_of_the_disk() => ExpectRefusalAsync(Family.System, static key => key[0] == (byte)'I');

    [Fact]
    public Task The_record_of_a_drives_folder() => ExpectRefusalAsync(Family.System, static key => key[0] == (byte)'D');

    [Fact]
    public Task The_identity_of_the_node() => ExpectRefusalAsync(Family.System, static key => key[0] == (byte)'N');

    [Fact]
    public Task The_record_of_a_drive() => ExpectRefusalAsync(Family.Namespace, IsOf(RecordKind.Drive));

    [Fact]
    public Task What_a_drive_uses() => ExpectRefusalAsync(Family.Namespace, IsOf(RecordKind.Usage));

    [Fact]
    public Task What_of_the_log_is_applied() =>
        ExpectRefusalAsync(Family.Namespace, static key => key[..KindAt].All(static one => one == 0) && key[KindAt] == (byte)'a');

    private static Func<byte[], bool> IsOf(RecordKind kind) => key => key.Length > KindAt && key[KindAt] == (byte)kind;

    /// <summary>Gives a record the next version, which must keep a start from going on, and its own again.</summary>
    private async Task ExpectRefusalAsync(Family family, Func<byte[], bool> isIt)
    {
        List<(byte[] Key, byte[] Value)> own = [];
        Change(family, (key, value) =>
        {
            if (!isIt(key)) { return null; }
            own.Add((key, value));
            byte[] newer = [.. value];
            newer[0]++;
            BitConverter.TryWriteBytes(newer.AsSpan(^4..), Crc32C.Compute(newer.AsSpan(..^4)));
            return newer;
        });
        Assert.NotEmpty(own);

        // Twice: a start that was refused has not made it an old one.
        for (int start = 0; start < 2; start++)
        {
            StorageException refused = Assert.Throws<StorageException>(Open);
            Assert.Equal(Status.NotSupported, refused.Status);
            Assert.Contains("A newer version of KvFs wrote it: use that one.", refused.Message, StringComparison.Ordinal);
        }

        Change(family, (key, _) => own.Find(one => one.Key.AsSpan().SequenceEqual(key)).Value);
        await using StorageNode node = Open();
        await using IDriveSession session = (await node.Admin.OpenSessionAsync("kept", SessionAccess.Alone, default)).Value;
        Assert.Equal(Status.Ok, (await session.LookupAsync(VNodeId.Root, "f"u8, CowNumber.Head)).Status);
    }

    private StorageNode Open() => StorageNode.Open(new() { DataPath = folder }, NullLoggerFactory.Instance);

    /// <param name="family">Which records.</param>
    /// <param name="change">A record's new value; null: it stays.</param>
    private void Change(Family family, Func<byte[], byte[], byte[]?> change)
    {
        using JournaledKeyValueStore store = JournaledKeyValueStore.Open(Path.Combine(folder, "db"));
        KeyValueBatch batch = new();
        using (IRecordCursor cursor = store.OpenCursor(family, default, default))
        {
            while (cursor.MoveNext())
            {
                if (change(cursor.Key.ToArray(), cursor.Value.ToArray()) is { } value) { batch.Put(family, cursor.Key, value); }
            }
        }

        Assert.True(batch.Count > 0);
        Assert.Equal(Status.Ok, store.Write(batch, logged: true));
        Assert.Equal(Status.Ok, store.SyncLog());
    }
}
