using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests;

/// <summary>The disk fills between a log entry and its application, and has room again later.</summary>
public sealed class OwedEntryTests : QuietNodeTests
{
    [Fact]
    public async Task Nothing_is_acknowledged_until_there_is_room_and_then_all_goes_on_without_a_restart()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "f");
        Node.Store.IsFull = true;
        Assert.Equal(Status.Unknown, await WriteAsync(session, file, 5));
        Assert.Equal(0UL, (await session.GetAsync(file, CowNumber.Head)).Value.VNode.Size);
        Assert.Equal(Status.NoSpace, await WriteAsync(session, file, 7));
        Assert.Equal(Status.NoSpace, (await TryCreateAsync(session, "g")).Status);

        Node.Store.IsFull = false;
        Assert.Equal(Status.Ok, (await TryCreateAsync(session, "g")).Status);
        Assert.Equal(5UL, (await session.GetAsync(file, CowNumber.Head)).Value.VNode.Size);
        Assert.Equal(2UL, Used());

        // Sent again, it does no harm; ids and sequences go on behind it.
        Assert.Equal(Status.Ok, await WriteAsync(session, file, 5));
        Assert.Equal(Status.Ok, await WriteAsync(session, file, 9));
        await CheckAsync(session, file, 9);
    }

    [Fact]
    public async Task A_stop_before_there_is_room_leaves_it_to_the_next_start()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "f");
        Node.Store.IsFull = true;
        Assert.Equal(Status.Unknown, await WriteAsync(session, file, 5));
        await CheckAsync(session, file, 5);
    }

    [Fact]
    public async Task Drives_and_clones_whose_record_was_late_are_there_when_there_is_room()
    {
        IDriveSession session = await OpenAsync("d");
        Node.Store.IsFull = true;
        Assert.Equal(Status.Unknown, (await Node.Admin.CloneAsync("d", null, "c", default)).Status);
        Assert.Equal(Status.NoSpace, (await Node.Admin.CloneAsync("d", null, "c", default)).Status);
        Assert.Null(Node.Host.Find("c"));
        Node.Store.IsFull = false;
        Assert.Equal(Status.Exists, (await Node.Admin.CloneAsync("d", null, "c", default)).Status);

        Node.Store.IsFull = true;
        Assert.Equal(Status.Unknown, (await Create("e")).Status);
        Assert.Equal(Status.NoSpace, (await Create("e")).Status);
        Node.Store.IsFull = false;
        VNodeId file = await CreateAsync(session, "f");
        Assert.Equal(Status.Exists, (await Create("e")).Status);
        foreach (string drive in (string[])["c", "e"])
        {
            await using IDriveSession other = (await Node.Admin.OpenSessionAsync(drive, SessionAccess.Alone, default)).Value;
            await CreateAsync(other, "g");
        }

        await CheckAsync(session, file, 0);
    }

    [Fact]
    public async Task A_drive_whose_end_was_late_is_gone_when_there_is_room()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "f");
        Assert.Equal(Status.Ok, (await Node.Admin.CloneAsync("d", null, "c", default)).Status);
        HostedDrive clone = Node.Drive("c");
        Assert.Equal(Status.Ok, await Node.Admin.DeleteDriveAsync("c", default));
        Node.Store.IsFull = true;
        Assert.Equal(Status.Unknown, clone.Forget(Node.Drive("d")));
        Assert.Equal(Status.NoSpace, clone.Forget(Node.Drive("d")));
        Node.Store.IsFull = false;
        Assert.Equal(Status.Ok, clone.Forget(Node.Drive("d")));
        Assert.Equal(Status.Ok, clone.Forget(Node.Drive("d")));
        Assert.Equal(Status.Ok, Node.Blocks.DeleteDrive(clone.Id).Status);
        await CheckAsync(session, file, 0);
    }

    private ulong Used()
    {
        HostedDrive drive = Node.Drive("d");
        using (drive.Shard.Enter()) { return drive.Counters.UsedInodes - 1; }
    }

    private ValueTask<Reply<Protocol.DriveInfo>> Create(string drive) =>
        Node.Admin.CreateDriveAsync(new(drive, DriveKind.FileSystem, 0, 0), default);

    private static async Task<Reply<NodeInfo>> TryCreateAsync(IDriveSession session, string name)
    {
        CreateRequest request = new()
        {
            Parent = VNodeId.Root,
            Name = System.Text.Encoding.UTF8.GetBytes(name),
            Kind = VNodeKind.File,
            Mode = 0b110_100_100,
        };
        return await session.CreateAsync(in request);
    }

    private static async Task<Status> WriteAsync(IDriveSession session, VNodeId file, int length)
    {
        FileCommit commit = new() { Node = file, MinSize = (ulong)length };
        commit.Runs.Add(new(0, (uint)length, SliceKind.Inline, default, 0));
        commit.Inline.Append(new byte[length]);
        return await session.CommitAsync([commit], []);
    }

    /// <summary>Closes the node, and lets the real one check every record, and the file's size.</summary>
    private async Task CheckAsync(IDriveSession session, VNodeId file, ulong size)
    {
        await session.DisposeAsync();
        await CloseAsync();
        await using StorageNode node = StorageNode.Open(new() { DataPath = Folder }, NullLoggerFactory.Instance);
        Assert.Empty(node.Check(new(ReadBytes: true, Repair: false), null, default).Problems);
        await using IDriveSession again = (await node.Admin.OpenSessionAsync("d", SessionAccess.Alone, default)).Value;
        Assert.Equal(size, (await again.GetAsync(file, CowNumber.Head)).Value.VNode.Size);
    }
}
