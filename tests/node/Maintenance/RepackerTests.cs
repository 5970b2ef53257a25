using KvFs.Core;
using KvFs.Node.Checking;
using KvFs.Node.Maintenance;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests.Maintenance;

public sealed class RepackerTests : IAsyncLifetime
{
    private const int MiB = 1 << 20;
    private const int BlockBytes = 4 * MiB;
    private const int FileBytes = 64 * MiB;

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-repack-").FullName;
    private readonly byte[] content = new byte[FileBytes];
    private readonly Random random = new(11);
    private QuietNode? node;
    private IDriveSession? session;
    private VNodeId file;

    private QuietNode Node => node!;

    public async Task InitializeAsync()
    {
        node = QuietNode.Open(folder);
        Assert.Equal(
            Status.Ok, (await Node.Admin.CreateDriveAsync(new("d", DriveKind.FileSystem, 0, 0), default)).Status);
        session = (await Node.Admin.OpenSessionAsync("d", SessionAccess.Alone, default)).Value;
        file = await CreateAsync("f");
        random.NextBytes(content);
        for (int at = 0; at < FileBytes; at += BlockBytes) { await WriteAsync(at, BlockBytes); }
    }

    public async Task DisposeAsync()
    {
        await CloseAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Overwritten_bytes_come_back_and_the_file_stays_the_same()
    {
        await OverwriteAsync(percent: 60);
        long before = Node.StoredBytes("d");

        Node.Repack();
        Node.Reap();

        Assert.True(before > FileBytes * 3 / 2, $"Nothing to gain: {before} bytes.");
        Assert.InRange(Node.StoredBytes("d"), FileBytes, FileBytes + BlockBytes);
        Assert.Equal(FileBytes / BlockBytes, Node.Repacker.EmptiedBlocks);
        Assert.Equal(FileBytes / BlockBytes * (BlockBytes / 100 * 60L), Node.Repacker.ReclaimedBytes);
        await VerifyAsync(session!, CowNumber.Head, content);
        await CheckAsync();
    }

    [Fact]
    public async Task What_a_snapshot_sees_is_not_copied_and_comes_back_with_the_snapshot()
    {
        byte[] old = [.. content];
        SnapshotInfo snapshot = (await Node.Admin.CreateSnapshotAsync("d", "s", default)).Value;
        await OverwriteAsync(percent: 60);
        long written = Node.Blocks.GetStatistics().BytesWritten;
        Node.Repack();
        Node.Reap();
        Assert.Equal(written, Node.Blocks.GetStatistics().BytesWritten);
        Assert.Equal(0, Node.Repacker.EmptiedBlocks);
        await VerifyAsync(session!, snapshot.At, old);
        await VerifyAsync(session!, CowNumber.Head, content);

        Assert.Equal(Status.Ok, await Node.Admin.DeleteSnapshotAsync("d", "s", default));
        Node.Reap();
        await OverwriteAsync(percent: 60);
        Node.Reap();
        Node.Repack();
        Node.Reap();
        Assert.InRange(Node.StoredBytes("d"), FileBytes, FileBytes + BlockBytes);
        await VerifyAsync(session!, CowNumber.Head, content);
        await CheckAsync();
    }

    [Fact]
    public async Task What_a_clone_wrote_is_repacked_and_what_it_inherited_stays_with_its_origin()
    {
        byte[] origin = [.. content];
        Assert.Equal(Status.Ok, (await Node.Admin.CloneAsync("d", null, "c", default)).Status);
        IDriveSession first = session!;
        session = (await Node.Admin.OpenSessionAsync("c", SessionAccess.Alone, default)).Value;
        for (int at = 0; at < FileBytes / 2; at += BlockBytes) { await WriteAsync(at, BlockBytes); }
        await OverwriteAsync(percent: 60);

        Node.Repack();
        Node.Reap();

        Assert.True(Node.Repacker.EmptiedBlocks > 0);
        await VerifyAsync(session, CowNumber.Head, content);
        await VerifyAsync(first, CowNumber.Head, origin);
        Assert.InRange(Node.StoredBytes("d"), FileBytes, FileBytes + BlockBytes);
        await first.DisposeAsync();
        await CheckAsync();
    }

    [Fact]
    public async Task A_drive_on_which_nothing_happens_is_looked_at_once()
    {
        Node.Repack();
        Assert.Equal(1, Node.Repacker.Rounds);
        long read = Node.Blocks.GetStatistics().BytesRead;
        Node.Repack();
        await WriteAsync(0, BlockBytes);
        Node.Repack();
        Assert.Equal(1, Node.Repacker.Rounds);
        Assert.Equal(read, Node.Blocks.GetStatistics().BytesRead);
    }

    [Fact]
    public async Task A_full_disk_is_left_alone_and_a_little_room_is_enough_to_make_more()
    {
        await OverwriteAsync(percent: 60);
        long written = Node.Blocks.GetStatistics().BytesWritten;
        Node.Disk.FreeBytes = 0;
        Assert.False(Node.Repacker.Run(default));
        Assert.Equal(0, Node.Repacker.Rounds);
        Assert.Equal(written, Node.Blocks.GetStatistics().BytesWritten);

        Node.Disk.FreeBytes = 1L << 30;
        Assert.Equal(Status.Ok, Node.Blocks.Space.GetFree(out long wide));
        Node.Disk.FreeBytes = (1L << 30) - wide + (12 * MiB);
        Assert.True(Node.Repacker.Run(default), "Space is short: there should be no rest.");
        Node.Repack();
        Assert.True(Node.Repacker.EmptiedBlocks > 0);
        await VerifyAsync(session!, CowNumber.Head, content);
        await CheckAsync();
    }

    [Fact]
    public async Task A_crash_after_any_part_of_a_round_leaves_nothing_behind()
    {
        await OverwriteAsync(percent: 60);
        Assert.Equal(Status.Ok, await session!.SyncAsync());
        for (int part = 0; Node.Repacker.Rounds == 0; part++)
        {
            Assert.InRange(part, 0, 20);
            Node.Repacker.Run(default);
            string copy = $"{folder}-{part}";
            try
            {
                DataFolders.Copy(folder, copy);
                await CheckAsync(copy);
            }
            finally
            {
                Directory.Delete(copy, recursive: true);
            }
        }

        Assert.True(Node.Repacker.EmptiedBlocks > 0);
    }

    [Fact]
    public async Task Copies_that_no_record_came_to_name_are_removed()
    {
        Assert.Equal(Status.Ok, NodeGrant.Take(Node.Drive("d"), 3, out NodeGrant grant));
        Assert.Equal(Status.Ok, Node.Blocks.WriteBlock(grant[1], new byte[BlockBytes]));
        long before = Node.StoredBytes("d");
        grant.Return();
        Node.Reap();
        Assert.Equal(before - BlockBytes, Node.StoredBytes("d"));
        await CheckAsync();
    }

    /// <summary>Overwrites the first part of every block and has the clusters folded.</summary>
    private async Task OverwriteAsync(int percent)
    {
        for (int at = 0; at < FileBytes; at += BlockBytes)
        {
            int length = BlockBytes / 100 * percent;
            random.NextBytes(content.AsSpan(at, length));
            await WriteAsync(at, length);
        }

        Node.Fold();
    }

    private async Task<VNodeId> CreateAsync(string name)
    {
        CreateRequest request = new()
        {
            Parent = VNodeId.Root,
            Name = System.Text.Encoding.UTF8.GetBytes(name),
            Kind = VNodeKind.File,
            Mode = 0b110_100_100,
        };
        return (await session!.CreateAsync(in request)).Value.Id;
    }

    /// <summary>Writes what the content has there, as one block.</summary>
    private async Task WriteAsync(int at, int length)
    {
        BlockName block = new(session!.Drive, (await session.GrantBlocksAsync(1)).Value);
        Assert.Equal(Status.Ok, await session.Blocks.WriteBlockAsync(block, content.AsMemory(at, length)));
        FileCommit commit = new() { Node = file, MinSize = (ulong)(at + length) };
        commit.Runs.Add(new((ulong)at, (uint)length, SliceKind.Block, block, 0));
        Assert.Equal(Status.Ok, await session.CommitAsync([commit], []));
    }

    private async Task VerifyAsync(IDriveSession reader, CowNumber at, byte[] expected)
    {
        ClusterMap map = (await reader.GetClusterAsync(file, 0, at)).Value;
        byte[] read = new byte[FileBytes];
        foreach (Slice run in map.Runs)
        {
            Memory<byte> target = read.AsMemory((int)run.Offset, (int)run.Length);
            Assert.Equal(Status.Ok, await reader.Blocks.ReadBlockAsync(run.Block, run.SourceOffset, target));
        }

        Assert.True(expected.AsSpan().SequenceEqual(read), "The file shows something else.");
    }

    private async Task CloseAsync()
    {
        if (session is not null) { await session.DisposeAsync(); }
        session = null;
        if (node is not null) { await node.DisposeAsync(); }
        node = null;
    }

    /// <summary>Closes the node, and checks every record and byte as the real one does.</summary>
    private async Task CheckAsync()
    {
        await CloseAsync();
        await CheckAsync(folder);
    }

    private static async Task CheckAsync(string path)
    {
        await using StorageNode checker = StorageNode.Open(new() { DataPath = path }, NullLoggerFactory.Instance);
        Assert.Empty(checker.Check(new(ReadBytes: true, Repair: false), null, default).Problems);
    }
}
