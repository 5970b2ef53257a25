using KvFs.Client;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Pool.Tests;

/// <summary>Data is read from the nearest node that has a copy, and from the primary where that one cannot give it.</summary>
public sealed class NearReadTests : IDisposable
{
    private const string Drive = "drive";
    private const int Size = 6_000_000;

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-near-").FullName;
    private readonly byte[] content = Files.Bytes(Size, 11);

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Data_is_read_from_the_near_copy_and_from_the_primary_while_that_one_is_away()
    {
        await using PoolProcesses pool = await StartAsync();
        int near = await pool.ReplicaOfAsync(Drive), primary = pool.PrimaryOf(Drive);
        using PoolDriveAdmin admin = AdminNear(pool, near);
        await using DriveClient client = await OpenAsync(admin);
        await UntilReadFromAsync(pool, client, near);

        // The primary gives nothing then; on a busy machine it stands in for one that is slow, and the next read is near again.
        await PoolWorld.UntilAsync(
            async () =>
            {
                ulong before = (await ActivityOf(pool, primary)).BytesRead;
                Assert.Equal(content, await Files.ReadAsync(client, "f"));
                return (await ActivityOf(pool, primary)).BytesRead == before ? "near" : null;
            },
            () => $"node {primary} is read from:\n{pool.Log}");

        // What it writes itself it reads there, too.
        await Files.WriteAsync(client, "g", content);
        Assert.Equal(content, await Files.ReadAsync(client, "g"));
        await pool.KillAsync(near);
        Assert.Equal(content, await Files.ReadAsync(client, "f"));
        pool.Start(near);
        await pool.WholeAsync();
        await UntilReadFromAsync(pool, client, near);
    }

    [Fact]
    public async Task A_near_copy_that_stands_still_holds_nobody_up()
    {
        await using PoolProcesses pool = await StartAsync();
        int near = await pool.ReplicaOfAsync(Drive);
        using PoolDriveAdmin admin = AdminNear(pool, near);
        await using DriveClient client = await OpenAsync(admin);
        await UntilReadFromAsync(pool, client, near);
        await pool.FreezeAsync(near);
        Assert.Equal(content, await Files.ReadAsync(client, "f"));
        await pool.ThawAsync(near);
        await UntilReadFromAsync(pool, client, near);
    }

    [Fact]
    public async Task What_is_damaged_in_a_near_copy_is_read_from_the_primary()
    {
        await using PoolProcesses pool = await StartAsync();
        int near = await pool.ReplicaOfAsync(Drive), primary = pool.PrimaryOf(Drive);
        Assert.Equal(0, await pool.StopAsync(near));
        string drive = Assert.Single(Directory.GetDirectories(Path.Combine(DataOf(near), "drives")));
        Flip(Path.Combine(drive, "idvd"));
        pool.Start(near);
        await pool.WholeAsync();
        using PoolDriveAdmin admin = AdminNear(pool, near);
        await using DriveClient client = await OpenAsync(admin);
        await PoolWorld.UntilAsync(
            async () =>
            {
                // Asked there first: so the bad bytes are known there in the end.
                Assert.Equal(content, await Files.ReadAsync(client, "f"));
                return (await HealthOf(pool, near)) is { RepairedBlocks: > 0 } health ? health : null;
            },
            $"node {near} was not asked for its bad bytes");
        Assert.NotEqual(0UL, (await ActivityOf(pool, primary)).BytesRead);
    }

    [Fact]
    public async Task Who_has_no_session_reads_nothing_and_who_talks_nonsense_is_cut_off()
    {
        await using PoolProcesses pool = await StartAsync();
        int near = await pool.ReplicaOfAsync(Drive);
        Reply<IDriveSession> session = await pool.Admin.OpenSessionAsync(Drive, SessionAccess.Alone, CancellationToken.None);
        await using IDriveSession own = session.Value;
        V1.SessionKey key = new() { Drive = own.Drive.ToWire(), Session = own.Id.Value, Token = Google.Protobuf.ByteString.CopyFrom(new byte[16]) };
        using CopyStream stream = await pool.OpenCopiesAsync(near);
        BlockName block = new(own.Drive, new(1));
        Assert.Equal(Status.SessionExpired, await stream.ReadAsync(key, block, 0, new byte[100]));
        Assert.Equal(Status.SessionExpired, await stream.ReadAsync(new(key) { Session = 77 }, block, 0, new byte[100]));
        Assert.Equal(Status.SessionExpired, await stream.ReadAsync(new(), block, 0, new byte[100]));
        Assert.Equal(Status.SessionExpired, await stream.ReadAsync(new(key) { Drive = Google.Protobuf.ByteString.Empty }, block, 0, new byte[100]));
        Assert.False(stream.IsOver);
        using DirectStream way = await PoolWorld.UntilAsync(
            async () =>
            {
                V1.OfferReadsReply reply = await pool.ChannelTo(near).UnaryAsync(BlockMethods.OfferReads, new(), new(), CancellationToken.None);
                return await DirectDial.TryConnectAsync(
                    pool.ChannelTo(near).Target, reply.Direct.ToCore(), WireDirect.MessageBytes, CancellationToken.None);
            },
            $"node {near} keeps no offer");
        TaskCompletionSource over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        way.Start("test", WireDirect.CopyReadReplies, long.MaxValue, static (_, _) => { }, _ => over.SetResult());
        way.Send(WireDirect.CopyReads, new() { Key = key }, new byte[100]);
        await over.Task;
    }

    private async Task<PoolProcesses> StartAsync()
    {
        PoolProcesses pool = await PoolProcesses.StartAsync(3, new() { DataOf = DataOf });
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new(Drive, DriveKind.FileSystem, 0, 0), CancellationToken.None)).Status);
        await using (DriveClient client = await OpenAsync(pool.Admin)) { await Files.WriteAsync(client, "f", content); }
        await pool.WholeAsync();
        return pool;
    }

    private string DataOf(int number) => Path.Combine(folder, $"data-{number}");

    private static PoolDriveAdmin AdminNear(PoolProcesses pool, int number) => pool.NewAdmin(new()
    {
        Near = new() { Node = $"n{number}" }, NearPause = TimeSpan.FromMilliseconds(100),
    });

    private static async Task<DriveClient> OpenAsync(PoolDriveAdmin admin)
    {
        Reply<IDriveSession> session = await admin.OpenSessionAsync(Drive, SessionAccess.Alone, CancellationToken.None);
        Assert.Equal(Status.Ok, session.Status);
        return new(session.Value, new(), TimeProvider.System);
    }

    /// <summary>Reads until the near node has given all of a file: its stream is made behind the first read.</summary>
    private Task<string> UntilReadFromAsync(PoolProcesses pool, DriveClient client, int near) => PoolWorld.UntilAsync(
        async () =>
        {
            ulong before = (await ActivityOf(pool, near)).BytesRead;
            Assert.Equal(content, await Files.ReadAsync(client, "f"));
            return (await ActivityOf(pool, near)).BytesRead - before >= Size ? "read" : null;
        },
        () => $"node {near} is not read from:\n{pool.Log}");

    private static async Task<V1.ActivityReply> ActivityOf(PoolProcesses pool, int number) =>
        await pool.ChannelTo(number).UnaryAsync(PoolMethods.GetActivity, new(), new(), CancellationToken.None);

    private static async Task<NodeHealth> HealthOf(PoolProcesses pool, int number) =>
        (await pool.ChannelTo(number).UnaryAsync(PoolMethods.GetHealth, new(), new(), CancellationToken.None)).ToHealth();

    /// <summary>Flips a bit in every 64 KiB of a file.</summary>
    private static void Flip(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.ReadWrite);
        for (long at = 100; at < file.Length; at += 64 << 10)
        {
            file.Position = at;
            int value = file.ReadByte();
            file.Position = at;
            file.WriteByte((byte)(value ^ 1));
        }
    }
}
