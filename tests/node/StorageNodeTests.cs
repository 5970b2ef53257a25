using System.Diagnostics.Metrics;
using KvFs.Core;
using KvFs.Node.Checking;
using KvFs.Node.Storage;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests;

/// <summary>The whole node over real RocksDB and a real folder, through the session that a mount uses.</summary>
public sealed class StorageNodeTests : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-node-").FullName;
    private StorageNode? node;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (node is not null) { await node.DisposeAsync(); }
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_file_and_its_inline_bytes_are_there_after_a_clean_restart()
    {
        IDriveSession session = await OpenAsync();
        NodeInfo file = Create(session, "a"u8);
        Assert.Equal(Status.Ok, await CommitInlineAsync(session, file.Id, 0, "hello"u8.ToArray()));
        Assert.Equal(Status.Ok, await session.SyncAsync());
        await session.DisposeAsync();
        await CloseAsync();

        session = await ReopenAsync();
        Reply<NodeInfo> found = await session.LookupAsync(VNodeId.Root, "a"u8, CowNumber.Head);
        Assert.Equal(Status.Ok, found.Status);
        Assert.Equal(5UL, found.Value.VNode.Size);
        ClusterMap map = (await session.GetClusterAsync(found.Value.Id, 0, CowNumber.Head)).Value;
        Assert.Equal("hello"u8.ToArray(), map.Inline.ToArray());
    }

    [Fact]
    public async Task What_was_answered_is_there_although_the_records_were_never_flushed()
    {
        IDriveSession session = await OpenAsync();
        for (int i = 0; i < 100; i++) { Create(session, [(byte)'f', (byte)('0' + (i / 10)), (byte)('0' + (i % 10))]); }
        Assert.Equal(Status.Ok, await session.SyncAsync());

        // A copy of the folder as a power cut would leave it: nothing is flushed or closed.
        string copy = folder + "-copy";
        DataFolders.Copy(folder, copy);
        try
        {
            await using StorageNode other = StorageNode.Open(new() { DataPath = copy }, NullLoggerFactory.Instance);
            await using IDriveSession again = (await other.Admin.OpenSessionAsync("d", SessionAccess.Alone, default)).Value;
            DirectoryPage page = new();
            Assert.Equal(Status.Ok, await again.ReadDirectoryAsync(VNodeId.Root, CowNumber.Head, 0, 1000, true, page));
            Assert.Equal(100, page.Count);
            Assert.True(page.IsLast);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public async Task A_block_is_read_back_through_a_slice_and_goes_after_the_file_is_removed()
    {
        IDriveSession session = await OpenAsync();
        NodeInfo file = Create(session, "big"u8);
        BlockId first = (await session.GrantBlocksAsync(4)).Value;
        byte[] content = new byte[1 << 20];
        new Random(7).NextBytes(content);
        BlockName block = new(session.Drive, first);
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(block, content));
        FileCommit commit = new() { Node = file.Id, MinSize = (ulong)content.Length };
        commit.Runs.Add(new(0, (uint)content.Length, SliceKind.Block, block, 0));
        List<NodeInfo> results = [];
        Assert.Equal(Status.Ok, await session.CommitAsync([commit], results));
        Assert.Equal((ulong)content.Length, results[0].VNode.AllocatedBytes);

        byte[] read = new byte[content.Length];
        Assert.Equal(Status.Ok, await session.Blocks.ReadBlockAsync(block, 0, read));
        Assert.Equal(content, read);
        UnlinkRequest unlink = new() { Parent = VNodeId.Root, Name = "big"u8 };
        Assert.Equal(Status.Ok, (await session.UnlinkAsync(in unlink)).Status);
        Assert.Equal(0UL, (await session.GetUsageAsync()).Value.UsedBytes);
    }

    [Fact]
    public async Task A_node_tells_what_was_committed_and_what_it_wrote_for_that()
    {
        // Nodes of other tests may run in this process, too: those of this one are made by this thread, now.
        Dictionary<string, double> shown = [];
        int thread = Environment.CurrentManagedThreadId;
        bool isOpening = false;
        using MeterListener listener = new();
        listener.InstrumentPublished = (instrument, target) =>
        {
            bool isOwn = isOpening && Environment.CurrentManagedThreadId == thread;
            if (isOwn && instrument.Meter.Name == "KvFs.Node") { target.EnableMeasurementEvents(instrument); }
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => shown[instrument.Name] = value);
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => shown[instrument.Name] = value);
        listener.Start();
        isOpening = true;
        IDriveSession session = await OpenAsync();
        isOpening = false;
        NodeInfo file = Create(session, "a"u8);
        byte[] page = new byte[4096];
        for (int i = 0; i < 10; i++) { Assert.Equal(Status.Ok, await CommitInlineAsync(session, file.Id, 0, page)); }
        Assert.Equal(Status.Ok, await session.SyncAsync());
        listener.RecordObservableInstruments();
        Assert.Equal(10 * page.Length, shown["kvfs_node_committed_bytes"]);
        Assert.InRange(shown["kvfs_node_log_written_bytes"], 10 * page.Length, 20 * page.Length);
        Assert.True(shown.ContainsKey("kvfs_node_disk_written_bytes"));
        Assert.True(shown.ContainsKey("kvfs_node_write_amplification"));
    }

    [Fact]
    public async Task A_writer_has_the_drive_for_itself()
    {
        IDriveSession session = await OpenAsync();
        Assert.Equal(Status.InUse, (await node!.Admin.OpenSessionAsync("d", SessionAccess.Alone, default)).Status);
        Assert.Equal(Status.InUse, await node.Admin.DeleteDriveAsync("d", default));
        await session.DisposeAsync();
        Assert.Equal(Status.Ok, await node.Admin.DeleteDriveAsync("d", default));
        Assert.Equal(Status.NotFound, (await node.Admin.GetDriveAsync("d", default)).Status);
    }

    [Fact]
    public async Task A_second_process_or_node_on_one_folder_is_refused_with_what_to_do()
    {
        await OpenAsync();
        StorageException refused = Assert.Throws<StorageException>(
            () => StorageNode.Open(new() { DataPath = folder }, NullLoggerFactory.Instance));
        Assert.Equal(Status.InUse, refused.Status);
        Assert.Contains("stop", refused.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_snapshot_keeps_what_a_file_was_and_a_clone_starts_from_it()
    {
        IDriveSession session = await OpenAsync();
        NodeInfo file = Create(session, "a"u8);
        Assert.Equal(Status.Ok, await CommitInlineAsync(session, file.Id, 0, "old"u8.ToArray()));
        SnapshotInfo snapshot = (await node!.Admin.CreateSnapshotAsync("d", "s", default)).Value;
        Assert.Equal(Status.Ok, await CommitInlineAsync(session, file.Id, 0, "new"u8.ToArray()));
        ClusterMap then = (await session.GetClusterAsync(file.Id, 0, snapshot.At)).Value;
        Assert.Equal("old"u8.ToArray(), then.Inline.ToArray());

        Assert.Equal(Status.Ok, (await node.Admin.CloneAsync("d", "s", "c", default)).Status);
        await using IDriveSession clone = (await node.Admin.OpenSessionAsync("c", SessionAccess.Alone, default)).Value;
        Reply<NodeInfo> inClone = await clone.LookupAsync(VNodeId.Root, "a"u8, CowNumber.Head);
        Assert.Equal(Status.Ok, inClone.Status);
        ClusterMap cloned = (await clone.GetClusterAsync(inClone.Value.Id, 0, CowNumber.Head)).Value;
        Assert.Equal("old"u8.ToArray(), cloned.Inline.ToArray());
        await session.DisposeAsync();
    }

    [Theory]
    [InlineData("/a")]
    [InlineData("/")]
    public async Task A_restore_brings_a_path_or_the_whole_drive_back_under_an_open_session(string path)
    {
        IDriveSession session = await OpenAsync();
        NodeInfo file = Create(session, "a"u8);
        Assert.Equal(Status.Ok, await CommitInlineAsync(session, file.Id, 0, "old"u8.ToArray()));
        Assert.Equal(Status.Ok, (await node!.Admin.CreateSnapshotAsync("d", "s", default)).Status);
        Assert.Equal(Status.Ok, await CommitInlineAsync(session, file.Id, 0, "new"u8.ToArray()));
        Create(session, "later"u8);
        Assert.Equal(Status.NotFound, await node.Admin.RestoreAsync("d", "no", path, default));
        Assert.Equal(Status.Ok, await node.Admin.RestoreAsync("d", "s", path, default));

        Reply<NodeInfo> found = await session.LookupAsync(VNodeId.Root, "a"u8, CowNumber.Head);
        Assert.Equal(path == "/", found.Value.Id == file.Id);
        ClusterMap restored = (await session.GetClusterAsync(found.Value.Id, 0, CowNumber.Head)).Value;
        Assert.Equal("old"u8.ToArray(), restored.Inline.ToArray());
        Reply<NodeInfo> later = await session.LookupAsync(VNodeId.Root, "later"u8, CowNumber.Head);
        Assert.Equal(path == "/" ? Status.NotFound : Status.Ok, later.Status);
        Create(session, "after"u8);
        Assert.Empty(node.Check(new(ReadBytes: true, Repair: false), null, default).Problems);
        await session.DisposeAsync();
    }

    [Fact]
    public async Task A_block_is_stored_only_under_a_number_that_the_session_was_granted_and_has_not_used()
    {
        IDriveSession session = await OpenAsync();
        NodeInfo file = Create(session, "a"u8);
        BlockId first = (await session.GrantBlocksAsync(3)).Value;
        byte[] content = new byte[70_000];
        Assert.Equal(Status.Conflict, await WriteAsync(first.Value + 3));
        Assert.Equal(Status.Conflict, await WriteAsync(first.Value - 1));
        Assert.Equal(Status.Ok, await WriteAsync(first.Value));
        Assert.Equal(Status.Ok, await WriteAsync(first.Value));
        Assert.Equal(Status.Invalid, await session.Blocks.WriteBlockAsync(new(new(session.Drive.Value + 1), first), content));
        FileCommit commit = new() { Node = file.Id, MinSize = 70_000 };
        commit.Runs.Add(new(0, 70_000, SliceKind.Block, new(session.Drive, first), 0));
        Assert.Equal(Status.Ok, await session.CommitAsync([commit], []));
        Assert.Equal(Status.Conflict, await WriteAsync(first.Value));
        Assert.Equal(Status.Ok, await session.ReturnBlocksAsync(new(first.Value + 2), 1));
        Assert.Equal(Status.Conflict, await WriteAsync(first.Value + 2));
        Assert.Equal(Status.Ok, await WriteAsync(first.Value + 1));

        // What is there under a number of the past is as it was.
        byte[] read = new byte[content.Length];
        Assert.Equal(Status.Ok, await session.Blocks.ReadBlockAsync(new(session.Drive, first), 0, read));
        Assert.Equal(content, read);

        ValueTask<Status> WriteAsync(ulong id) => session.Blocks.WriteBlockAsync(new(session.Drive, new(id)), content);
    }

    [Fact]
    public async Task A_check_finds_nothing_wrong_online_while_files_come_and_go()
    {
        IDriveSession session = await OpenAsync();
        NodeInfo file = Create(session, "a"u8);
        BlockId block = (await session.GrantBlocksAsync(2)).Value;
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(new(session.Drive, block), new byte[100_000]));
        FileCommit commit = new() { Node = file.Id, MinSize = 100_000 };
        commit.Runs.Add(new(0, 100_000, SliceKind.Block, new(session.Drive, block), 0));
        Assert.Equal(Status.Ok, await session.CommitAsync([commit], []));
        NodeCheckReport report = node!.Check(new(ReadBytes: true, Repair: false), null, default);
        Assert.Empty(report.Problems);
        Assert.Equal(1, report.Blocks);
        Assert.Equal(100_000, report.Bytes);

        UnlinkRequest unlink = new() { Parent = VNodeId.Root, Name = "a"u8 };
        Assert.Equal(Status.Ok, (await session.UnlinkAsync(in unlink)).Status);
        Assert.Empty(node.Check(new(ReadBytes: true, Repair: false), null, default).Problems);
        Assert.Throws<InvalidOperationException>(() => node.Check(new(false, Repair: true), null, default));
    }

    [Fact]
    public async Task A_block_that_a_file_refers_to_and_that_is_gone_is_found()
    {
        IDriveSession session = await OpenAsync();
        NodeInfo file = Create(session, "a"u8);
        BlockId block = (await session.GrantBlocksAsync(1)).Value;
        FileCommit commit = new() { Node = file.Id, MinSize = 4096 };
        commit.Runs.Add(new(0, 4096, SliceKind.Block, new(session.Drive, block), 0));
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(new(session.Drive, block), new byte[4096]));
        Assert.Equal(Status.Ok, await session.CommitAsync([commit], []));
        Assert.Equal(Status.Ok, node!.Blocks.DropOwnCopies(session.Drive, [block]));
        NodeProblem problem = Assert.Single(node!.Check(new(false, false), null, default).Problems);
        Assert.Equal($"block {block}", problem.Place);
    }

    [Fact]
    public async Task A_deleted_drive_goes_with_its_blocks_and_an_origin_with_its_last_clone()
    {
        IDriveSession session = await OpenAsync();
        DriveId origin = session.Drive;
        await session.DisposeAsync();
        DriveId clone = (await node!.Admin.CloneAsync("d", null, "c", default)).Value.Id;
        Assert.Equal(Status.Ok, await node.Admin.DeleteDriveAsync("d", default));
        Assert.Equal(Status.NotFound, (await node.Admin.GetDriveAsync("d", default)).Status);
        Assert.True(Directory.Exists(Path.Combine(folder, "drives", origin.ToString())));
        Assert.Equal(Status.Ok, await node.Admin.DeleteDriveAsync("c", default));
        Assert.True(SpinWait.SpinUntil(() => IsGone(origin) && IsGone(clone), TimeSpan.FromMinutes(1)));

        await CloseAsync();
        node = StorageNode.Open(new() { DataPath = folder }, NullLoggerFactory.Instance);
        Assert.Empty((await node.Admin.ListDrivesAsync(default)).Value);
        Assert.Equal(0, node.Check(new(false, false), null, default).Drives);
    }

    private bool IsGone(DriveId drive) => !Directory.Exists(Path.Combine(folder, "drives", drive.ToString()));

    private static NodeInfo Create(IDriveSession session, ReadOnlySpan<byte> name)
    {
        CreateRequest request = new() { Parent = VNodeId.Root, Name = name, Kind = VNodeKind.File, Mode = 0b110_100_100 };
        Reply<NodeInfo> reply = session.CreateAsync(in request).AsTask().GetAwaiter().GetResult();
        Assert.Equal(Status.Ok, reply.Status);
        return reply.Value;
    }

    private static async Task<Status> CommitInlineAsync(IDriveSession session, VNodeId id, ulong offset, byte[] bytes)
    {
        FileCommit commit = new() { Node = id, MinSize = offset + (ulong)bytes.Length };
        commit.Inline.Set(bytes);
        commit.Runs.Add(new(offset, (uint)bytes.Length, SliceKind.Inline, default, 0));
        return await session.CommitAsync([commit], []);
    }

    private async Task<IDriveSession> OpenAsync()
    {
        node = StorageNode.Open(new() { DataPath = folder }, NullLoggerFactory.Instance);
        Assert.Equal(
            Status.Ok, (await node.Admin.CreateDriveAsync(new("d", DriveKind.FileSystem, 0, 0), default)).Status);
        return (await node.Admin.OpenSessionAsync("d", SessionAccess.Alone, default)).Value;
    }

    private async Task CloseAsync()
    {
        await node!.DisposeAsync();
        node = null;
    }

    private async Task<IDriveSession> ReopenAsync()
    {
        node = StorageNode.Open(new() { DataPath = folder }, NullLoggerFactory.Instance);
        return (await node.Admin.OpenSessionAsync("d", SessionAccess.Alone, default)).Value;
    }
}
