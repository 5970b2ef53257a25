using System.Diagnostics;
using KvFs.Client;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Xunit.Abstractions;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Pool.Tests;

/// <summary>A drive whose blocks are spread over the shards of a pool of processes, some of which die.</summary>
public sealed class SpreadProcessTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    public async Task A_key_primary_is_killed_while_files_are_written_and_nothing_is_lost(int nodes)
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(nodes);
        await using FileWriter files = await FileWriter.StartAsync(pool, "files", spread: 100);
        for (int round = 0; round < Rounds.Few; round++)
        {
            await files.MoreAsync(20);
            int killed = KeyPrimaryOf(pool, "files");
            files.TakeLongestPause();
            await pool.KillAsync(killed);
            await pool.NoPrimaryAsync(killed);
            await files.MoreAsync(20);
            output.WriteLine($"key primary {killed} killed: longest pause {files.TakeLongestPause().TotalSeconds:f2} s");
            pool.Start(killed);
            await pool.WholeAsync();
            await files.MoreAsync(5);

            // And the one that orders the transactions.
            int primary = pool.PrimaryOf("files");
            files.TakeLongestPause();
            await pool.KillAsync(primary);
            await pool.NoPrimaryAsync(primary);
            await files.MoreAsync(20);
            output.WriteLine($"collection primary {primary} killed: longest pause {files.TakeLongestPause().TotalSeconds:f2} s");
            pool.Start(primary);
            await pool.WholeAsync();
        }

        await files.CheckAsync();
        output.WriteLine($"{files.Count} files, 0 lost");
    }

    [Fact]
    public async Task A_node_with_blocks_of_a_drive_that_lives_elsewhere_is_drained_and_nothing_is_lost()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(4, new() { Later = 1 });
        await using FileWriter files = await FileWriter.StartAsync(pool, "files", spread: 100);
        await files.MoreAsync(40);
        pool.Start(5);
        await pool.WholeAsync();
        int drained = KeyPrimaryOf(pool, "files");
        using (Process drain = Process.Start(PoolProcesses.Program, ["pool", "drain", $"n{drained}", "--authority", pool.AuthorityName]))
        {
            await drain.WaitForExitAsync();
            Assert.Equal(0, drain.ExitCode);
        }

        await pool.MapThatAsync(map => !HasCopies(map, drained), "the node that is drained keeps copies");
        await pool.WholeAsync();
        await pool.KillAsync(drained);
        await files.MoreAsync(20);
        await files.CheckAsync();
        output.WriteLine($"{files.Count} files, 0 lost");
    }

    [Fact]
    public async Task A_node_that_has_blocks_and_no_records_of_a_drive_gives_them_to_its_sessions_and_to_nobody_else()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(5);
        DriveSpec spec = new("drive", DriveKind.FileSystem, 0, 0) { Spread = 100 };
        DriveInfo drive = (await pool.Admin.CreateDriveAsync(spec, CancellationToken.None)).Value;
        byte[] content = Files.Bytes(200_000, 3);
        await using (IDriveSession session = (await Sessions.OpenAsync(pool, "drive", CancellationToken.None))!)
        {
            await using DriveClient client = new(session, new(), TimeProvider.System);
            for (int file = 0; file < 12; file++) { await Files.WriteAsync(client, $"f{file}", content); }

            // Most of them are not where the drive is served.
            for (int file = 0; file < 12; file++) { Assert.Equal(content, await Files.ReadAsync(client, $"f{file}")); }
        }

        PoolMap map = await pool.WholeAsync();
        ShardEntry home = map[HomeShard.OfName("drive", map.Shards.Length)];
        PoolNode stranger = map.Nodes.First(node => !home.IsInSync(node.Id) && map.Shards.Any(shard => shard.IsInSync(node.Id)));
        using CopyStream stream = await pool.OpenCopiesAsync(PoolProcesses.NumberOf(map, stranger.Id));

        // It asks others for the session first, and a busy machine may be slower than it waits; then it knows it. Nobody renews the session:
        // where that takes longer than a lease, another one follows.
        V1.Opened? last = null;
        V1.Opened opened = await PoolWorld.UntilAsync(
            async () =>
            {
                V1.Opened next = await pool.ChannelTo(pool.PrimaryOf("drive")).UnaryAsync(
                    DriveMethods.Open, new() { Drive = "drive" }, new(), CancellationToken.None);
                if (next.Status == V1.Status.Ok) { last = next; }
                bool isKnown = last is not null
                    && await stream.ReadAsync(last.Key, new(drive.Id, new(1)), 0, new byte[1000]) is Status.Ok or Status.NotFound;
                return isKnown ? last : null;
            },
            "the session is not known");
        Assert.Equal(100U, opened.Spread);
        int read = 0;
        for (ulong id = 1; id < 64; id++)
        {
            BlockName block = new(drive.Id, new(id));
            Status status = await stream.ReadAsync(opened.Key, block, 0, new byte[1000]);
            if (status == Status.Ok) { read++; }
            Assert.Contains(status, new[] { Status.Ok, Status.NotFound });
        }

        Assert.NotEqual(0, read);
        V1.SessionKey forged = new(opened.Key) { Token = Google.Protobuf.ByteString.CopyFrom(new byte[16]) };
        Assert.Equal(Status.SessionExpired, await stream.ReadAsync(forged, new(drive.Id, new(1)), 0, new byte[1000]));
        V1.SessionKey unknown = new(opened.Key) { Session = opened.Key.Session + 77 };
        Assert.Equal(Status.SessionExpired, await stream.ReadAsync(unknown, new(drive.Id, new(1)), 0, new byte[1000]));
    }

    private static bool HasCopies(PoolMap map, int number) => map.Shards.Any(
        shard => shard.InSync.Select(static copy => copy.Node).Concat(shard.Learners).Any(node => PoolProcesses.NumberOf(map, node) == number));

    /// <summary>A node that is primary of blocks of a drive, and does not order its transactions; rather one that has no part in that.</summary>
    private static int KeyPrimaryOf(PoolProcesses pool, string drive)
    {
        PoolMap map = pool.Map!;
        ShardEntry home = map[HomeShard.OfName(drive, map.Shards.Length)];
        return PoolProcesses.NumberOf(map, map.Shards.Select(static shard => shard.Primary).Where(node => node != home.Primary)
            .OrderBy(node => home.IsInSync(node)).First());
    }
}
