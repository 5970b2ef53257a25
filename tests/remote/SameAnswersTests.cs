using KvFs.Client;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>A session over the wire answers what one in the same process answers, request by request.</summary>
public sealed class SameAnswersTests
{
    private const int Steps = 3000;

    [Theory]
    [InlineData("tcp", 1)]
    [InlineData("grpc", 2)]
    [InlineData("unix", 3)]
    public async Task Every_answer_over_the_wire_is_the_one_in_the_same_process(string transport, int seed)
    {
        await using RemoteWorld near = await RemoteWorld.StartAsync(transport);
        await using RemoteWorld far = await RemoteWorld.StartAsync(transport);
        Reply<IDriveSession> opened = await near.Local.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, CancellationToken.None);
        await using IDriveSession local = opened.Value;
        await using IDriveSession remote = await far.OpenAsync();
        Assert.Equal((local.Id, local.Drive), (remote.Id, remote.Drive));
        SameAnswers workload = new(seed);
        for (int step = 0; step < Steps; step++)
        {
            near.NodeTime.Advance(TimeSpan.FromMilliseconds(1));
            far.NodeTime.Advance(TimeSpan.FromMilliseconds(1));
            if (step % 300 == 50)
            {
                CancellationToken none = CancellationToken.None;
                Reply<SnapshotInfo> taken = await near.Local.CreateSnapshotAsync(RemoteWorld.Drive, $"s{step}", none);
                Assert.Equal(taken, await far.Admin.CreateSnapshotAsync(RemoteWorld.Drive, $"s{step}", none));
                workload.Retain(taken.Value.At);
            }

            Func<IDriveSession, Task<string>> ask = workload.Next();
            workload.IsLearning = true;
            string expected = await ask(local);
            workload.IsLearning = false;
            string actual = await ask(remote);
            Assert.True(expected == actual, $"seed {seed}, step {step}\n{expected}\n{actual}");
        }

        // Enough of it must have done something.
        Assert.InRange(workload.Seen[Status.Ok], Steps / 2, int.MaxValue);
        Assert.InRange(workload.Seen.Count, 12, int.MaxValue);
    }

    [Theory]
    [InlineData(11, 0)]
    [InlineData(12, 0)]
    [InlineData(13, 0)]
    [InlineData(14, 30)]
    public async Task Every_answer_of_a_buffered_session_is_the_one_of_its_primary(int seed, int percentWithoutLease)
    {
        await using RemoteWorld near = await RemoteWorld.StartAsync();
        await using RemoteWorld far = await RemoteWorld.StartAsync();
        Reply<IDriveSession> opened = await near.Local.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Alone, CancellationToken.None);
        await using IDriveSession local = opened.Value;
        Random leases = new(seed);
        await using BufferedDriveSession buffered = new(
            await far.OpenAsync(), () => leases.Next(100) >= percentWithoutLease, far.NodeTime);
        AnswerPairs pairs = new();
        SameAnswers workload = new(seed) { Pairs = pairs };
        Random syncs = new(seed);
        for (int step = 0; step < Steps; step++)
        {
            near.NodeTime.Advance(TimeSpan.FromMilliseconds(1));
            far.NodeTime.Advance(TimeSpan.FromMilliseconds(1));
            if (step % 300 == 50)
            {
                CancellationToken none = CancellationToken.None;
                Assert.Equal(Status.Ok, await buffered.SyncAsync());
                Reply<SnapshotInfo> taken = await near.Local.CreateSnapshotAsync(RemoteWorld.Drive, $"s{step}", none);
                pairs.Add(taken.Value.At, (await far.Admin.CreateSnapshotAsync(RemoteWorld.Drive, $"s{step}", none)).Value.At);
                workload.Retain(taken.Value.At);
            }

            Func<IDriveSession, Task<string>> ask = workload.Next();
            workload.IsLearning = true;
            string expected = await ask(local);
            workload.IsLearning = false;
            string actual = await ask(buffered);
            string? difference = pairs.Differ(expected, actual);
            Assert.True(difference is null, $"seed {seed}, step {step}\n{difference}");
            if (syncs.Next(40) == 0) { Assert.Equal(Status.Ok, await buffered.SyncAsync()); }
        }

        Assert.InRange(workload.Seen[Status.Ok], Steps / 2, int.MaxValue);
        Assert.InRange(workload.Seen.Count, 12, int.MaxValue);
    }

    /// <remarks>Each request goes to one of three sessions that keep what they are told, in turn as the seed says: what one of them changes the
    /// others have forgotten by then. The sessions of the other world keep nothing.</remarks>
    [Theory]
    [InlineData("tcp", 21)]
    [InlineData("tcp", 22)]
    [InlineData("grpc", 23)]
    [InlineData("unix", 24)]
    public async Task Every_answer_of_sessions_that_share_a_drive_is_the_one_of_its_primary(string transport, int seed)
    {
        const int Sessions = 3;
        await using RemoteWorld near = await RemoteWorld.StartAsync(transport);
        await using RemoteWorld far = await RemoteWorld.StartAsync(transport);
        List<IDriveSession> local = [];
        List<SharedDriveSession> shared = [];
        for (int at = 0; at < Sessions; at++)
        {
            local.Add((await near.Local.OpenSessionAsync(RemoteWorld.Drive, SessionAccess.Shared, CancellationToken.None)).Value);
            shared.Add(new((RemoteDriveSession)await far.OpenAsync(SessionAccess.Shared)));
        }

        SameAnswers workload = new(seed);
        Random turns = new(seed);
        long known = 0;
        for (int step = 0; step < Steps; step++)
        {
            near.NodeTime.Advance(TimeSpan.FromMilliseconds(1));
            far.NodeTime.Advance(TimeSpan.FromMilliseconds(1));
            Func<IDriveSession, Task<string>> ask = workload.Next();
            int turn = workload.IsOfOneSession ? 0 : turns.Next(Sessions);
            workload.IsLearning = true;
            string expected = await ask(local[turn]);
            workload.IsLearning = false;
            string actual = await ask(shared[turn]);
            Assert.True(expected == actual, $"seed {seed}, step {step}, session {turn}\n{expected}\n{actual}");
            known += shared[turn].Known;
        }

        Assert.InRange(workload.Seen[Status.Ok], Steps / 2, int.MaxValue);
        Assert.InRange(known, Steps, long.MaxValue);
        for (int at = 0; at < Sessions; at++)
        {
            await local[at].DisposeAsync();
            await shared[at].DisposeAsync();
        }
    }

    [Fact]
    public async Task A_version_that_nobody_retains_is_not_found_rather_than_damaged()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using IDriveSession session = await world.OpenAsync();
        CowNumber version = (await session.CreateAsync("f")).Value.Version;
        Reply<SnapshotInfo> snapshot = await world.Admin.CreateSnapshotAsync(RemoteWorld.Drive, "s", default);
        Assert.Equal(Status.Ok, (await session.LookupAsync(VNodeId.Root, "f"u8, snapshot.Value.At)).Status);
        foreach (CowNumber none in (CowNumber[])[version, new(0), new(1UL << 40)])
        {
            Assert.Equal(Status.NotFound, (await session.LookupAsync(VNodeId.Root, "f"u8, none)).Status);
            Assert.Equal(Status.NotFound, (await session.GetAsync(VNodeId.Root, none)).Status);
            Assert.Equal(Status.NotFound, (await session.GetClusterAsync(VNodeId.Root, 0, none)).Status);
        }

        Assert.Equal(Status.Ok, await world.Admin.DeleteSnapshotAsync(RemoteWorld.Drive, "s", default));
        Assert.Equal(Status.NotFound, (await session.LookupAsync(VNodeId.Root, "f"u8, snapshot.Value.At)).Status);
    }

    [Fact]
    public async Task Administration_over_the_wire_is_that_of_the_node()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        CancellationToken none = CancellationToken.None;
        RemoteDriveAdmin admin = world.Admin;
        Assert.Equal(Status.Exists, (await admin.CreateDriveAsync(new("test", DriveKind.FileSystem, 0, 0), none)).Status);
        Assert.Equal(Status.Invalid, (await admin.CreateDriveAsync(new("No", DriveKind.FileSystem, 0, 0), none)).Status);
        Assert.Equal(Status.Invalid, (await admin.CreateDriveAsync(new("b", default, 0, 0), none)).Status);
        Assert.Equal(Status.Ok, (await admin.CreateDriveAsync(new("b", DriveKind.Block, 1 << 20, 5), none)).Status);
        Assert.Equal((await world.Local.GetDriveAsync("b", none)).Value, (await admin.GetDriveAsync("b", none)).Value);
        Assert.Equal(Status.NotFound, (await admin.GetDriveAsync("c", none)).Status);
        Assert.Equal(2UL << 20, (await admin.ResizeDriveAsync("b", 2 << 20, 6, none)).Value.QuotaBytes);
        await using (IDriveSession session = await world.OpenAsync())
        {
            Assert.Equal(Status.Ok, (await session.CreateAsync("before")).Status);
            Reply<SnapshotInfo> taken = await admin.CreateSnapshotAsync("test", "s1", none);
            Assert.Equal(Status.Ok, taken.Status);
            Assert.Equal(Status.Exists, (await admin.CreateSnapshotAsync("test", "s1", none)).Status);
            Assert.Equal([taken.Value], (await admin.ListSnapshotsAsync("test", none)).Value);
            Assert.Equal([taken.Value], (await session.ListSnapshotsAsync()).Value);
            Assert.Equal(Status.Ok, (await session.CreateAsync("after")).Status);
            Assert.Equal(Status.InUse, await admin.DeleteDriveAsync("test", none));
            Assert.Equal(Status.Ok, (await admin.CloneAsync("test", "s1", "old", none)).Status);
            Assert.Equal(Status.Ok, (await admin.CloneAsync("test", null, "now", none)).Status);
            Assert.Equal(Status.Ok, await admin.RestoreAsync("test", "s1", "/", none));
            Assert.Equal(["before"], await session.NamesAsync());
        }

        Reply<IReadOnlyList<DriveInfo>> drives = await admin.ListDrivesAsync(none);
        Assert.Equal((await world.Local.ListDrivesAsync(none)).Value, drives.Value);
        Assert.Equal(["b", "now", "old", "test"], drives.Value.Select(drive => drive.Name).Order(StringComparer.Ordinal));
        Assert.Equal("test", drives.Value.Single(drive => drive.Name == "old").OriginName);
        Assert.Equal(Status.Ok, await admin.DeleteDriveAsync("now", none));
        Assert.Equal(Status.Ok, await admin.DeleteSnapshotAsync("test", "s1", none));
        Assert.Equal(Status.NotFound, await admin.DeleteSnapshotAsync("test", "s2", none));
        Assert.Equal(Status.NotFound, (await admin.OpenSessionAsync("now", SessionAccess.Alone, none)).Status);
    }
}
