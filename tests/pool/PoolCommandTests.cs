using System.Text.Json;
using KvFs.Authority.Tests.Support;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Pool.Tests;

/// <summary>What people look at and do with a pool from the command line, of real processes.</summary>
public sealed class PoolCommandTests
{
    private static readonly CancellationToken s_none = CancellationToken.None;

    [Fact]
    public async Task What_a_pool_does_is_shown_and_what_is_not_at_its_place_goes_there()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        await using (FileWriter files = await FileWriter.StartAsync(pool, "files"))
        {
            await files.MoreAsync(5);

            // A node that is too slow to answer counts as silent, and has no rates; one that is slower still is no copy for a moment.
            Said top = await PoolWorld.UntilAsync(
                async () => await Said.OfAsync(
                    "top", "--once", "--interval", "500ms", "--output", "json", "--authority", pool.AuthorityName, "--insecure") is { Code: 0 } said
                    && said.Json.GetProperty("summary").GetString()!.StartsWith("healthy", StringComparison.Ordinal)
                    && said.Json.GetProperty("nodes").EnumerateArray().All(static node => node.GetProperty("operationsPerSecond").ValueKind == JsonValueKind.Number)
                    && said.Json.GetProperty("drives").EnumerateArray().Any(static drive => drive.GetProperty("commitMs").ValueKind == JsonValueKind.Number)
                    ? said
                    : null,
                "not all nodes tell what they do");
            JsonElement report = top.Json;
            Assert.StartsWith("healthy: 4 shards", report.GetProperty("summary").GetString(), StringComparison.Ordinal);
            JsonElement[] nodes = [.. report.GetProperty("nodes").EnumerateArray()];
            Assert.Equal(["n1", "n2", "n3"], nodes.Select(static node => node.GetProperty("name").GetString()));
            Assert.All(nodes, static node => Assert.Equal("up", node.GetProperty("state").GetString()));
            Assert.All(nodes, static node => Assert.Equal(4, node.GetProperty("inSync").GetInt32()));
            Assert.Equal(4, nodes.Sum(static node => node.GetProperty("primaries").GetInt32()));
            JsonElement drive = report.GetProperty("drives").EnumerateArray().Single();
            Assert.Equal("files", drive.GetProperty("name").GetString());
            Assert.Equal($"n{pool.PrimaryOf("files")}", drive.GetProperty("node").GetString());
            Assert.True(drive.GetProperty("sessions").GetInt32() > 0);
            Assert.True(drive.GetProperty("commitsPerSecond").GetDouble() > 0);
            Assert.True(drive.GetProperty("commitMs").GetDouble() > 0);
            await files.CheckAsync();
        }

        (PoolMap map, ShardId shard, NodeId to) = await HandSomethingOverAsync(pool);
        string[] rebalance = ["pool", "rebalance", "--authority", pool.AuthorityName, "--insecure"];
        Said planned = await PoolWorld.UntilAsync(
            async () => await Said.OfAsync([.. rebalance, "--dry-run", "--output", "json"]) is { Code: 0 } said && said.Json.GetProperty("absent").GetArrayLength() == 0
                ? said
                : null,
            "not all nodes answer");
        JsonElement move = planned.Json.GetProperty("primaries").EnumerateArray().Single();
        Assert.Equal(shard.Value, move.GetProperty("shard").GetInt32());
        Assert.Equal(map.Find(to)!.Name, move.GetProperty("from").GetString());
        Assert.Equal(8, (await Said.OfAsync(rebalance)).Code);
        Assert.Equal(to, (await pool.MapAsync())![shard].Primary);
        await PoolWorld.UntilAsync(
            async () => await Said.OfAsync([.. rebalance, "--yes"]) is { Code: 0 } done
                && PlacementPlanner.Plan((await pool.MapAsync())!, PlacementLimits.Default, static _ => NodePresence.Here, evenly: true).IsEmpty
                ? done
                : null,
            "the pool is not rebalanced");
    }

    [Fact]
    public async Task A_shard_that_lost_its_copies_begins_anew_from_a_stale_one_when_a_person_accepts_that()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        ShardId shard = HomeShard.OfName("drive", pool.Map!.Shards.Length);
        string[] force = ["pool", "force", $"{shard}", "--authority", pool.AuthorityName, "--insecure"];
        await WriteAsync(pool, "before", 1);
        int stale = await pool.ReplicaOfAsync("drive");
        await pool.KillAsync(stale);
        await pool.MapThatAsync(map => map.Shards.All(entry => !entry.InSync.Any(copy => PoolProcesses.NumberOf(map, copy.Node) == stale)), "the dead one counts");
        Said lacking = await Said.OfAsync(["pool", "status", "--authority", pool.AuthorityName, "--insecure", "--output", "json"]);
        JsonElement risk = lacking.Json.GetProperty("drives").EnumerateArray().Single();
        Assert.Equal(("drive", 2), (risk.GetProperty("name").GetString(), risk.GetProperty("copies").GetInt32()));
        Assert.Equal([shard.Value], risk.GetProperty("shards").EnumerateArray().Select(static one => one.GetUInt16()));
        Assert.Contains(lacking.Json.GetProperty("nodes").EnumerateArray(), node =>
            node.GetProperty("name").GetString() == $"n{stale}" && node.GetProperty("presence").GetString() == "silent");
        JsonElement healing = lacking.Json.GetProperty("healing");
        Assert.Equal((0, JsonValueKind.Null), (healing.GetProperty("percent").GetDouble(), healing.GetProperty("remainingSeconds").ValueKind));
        await WriteAsync(pool, "lost", 2);
        int[] gone = [.. Enumerable.Range(1, 3).Where(number => number != stale)];

        // While one that has everything is there, nothing is forced, whoever accepts what.
        Said refused = await Said.OfAsync([.. force, "--accept-loss", "--yes"]);
        Assert.Equal(8, refused.Code);
        Assert.Matches("'n[1-3]' runs", refused.Errors);
        foreach (int number in gone) { await pool.KillAsync(number); }
        ulong epoch = (await pool.MapAsync())![shard].Epoch.Value;
        pool.Start(stale);
        Said told = await PoolWorld.UntilAsync(
            async () => await Said.OfAsync(force) is var said && said.Errors.Contains("ends at entry", StringComparison.Ordinal) ? said : null,
            "the stale copy is not found");
        Assert.Equal(8, told.Code);
        Assert.Contains("--accept-loss", told.Errors, StringComparison.Ordinal);
        Assert.Equal(8, (await Said.OfAsync([.. force, "--accept-loss"])).Code);
        Assert.Equal(epoch, (await pool.MapAsync())![shard].Epoch.Value);

        Said forced = await Said.OfAsync([.. force, "--accept-loss", "--yes", "--reason", "two disks broke", "--output", "json"]);
        Assert.True(forced.Code == 0, forced.ToString());
        Assert.Equal($"n{stale}", forced.Json.GetProperty("node").GetString());
        ShardEntry entry = (await pool.MapAsync())![shard];
        Assert.Equal(("two disks broke", epoch + 1), (entry.Loss!.Why, entry.Loss.Epoch.Value));
        Assert.Equal(stale, PoolProcesses.NumberOf(pool.Map!, entry.Primary));
        await WriteAsync(pool, "after", 3);
        Assert.Equal(["after", "before"], await NamesAsync(pool));

        // Those that were given up come back after all: with what this one has, and no more.
        foreach (int number in gone) { pool.Start(number); }
        PoolMap whole = await pool.WholeAsync();
        Assert.Equal(entry.Loss, whole[shard].Loss);
        await PoolWorld.UntilAsync(
            async () => await Said.OfAsync(["pool", "status", "--authority", pool.AuthorityName, "--insecure", "--output", "json"]) is { Code: 0 } said
                && said.Json.GetProperty("drives").GetArrayLength() == 0 && said.Json.GetProperty("healing").ValueKind == JsonValueKind.Null ? said : null,
            "something is still to be healed");
        await pool.KillAsync(stale);
        Assert.Equal(["after", "before"], await NamesAsync(pool));
        await using DriveClient client = await OpenAsync(pool);
        Assert.Equal(Content(1), await Files.ReadAsync(client, "before"));
        Assert.Equal(Content(3), await Files.ReadAsync(client, "after"));

        // What was handed out in what is lost is never handed out again.
        Reply<NodeInfo> after = await client.LookupAsync(VNodeId.Root, "after"u8.ToArray(), CowNumber.Head);
        Assert.True(after.Value.Id.Value >= entry.Loss.Epoch.Value << 36);
        Said status = await Said.OfAsync("pool", "status", "--authority", pool.AuthorityName);
        Assert.Contains($"Shard {shard} began anew at epoch {epoch + 1}", status.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nodes_are_drained_and_kept_after_all_and_replaced_whether_they_are_there_or_not()
    {
        await using EtcdServer etcd = await EtcdServer.StartAsync();
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3, new() { Etcd = [etcd.Endpoint], Later = 2 });
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        await WriteAsync(pool, "before", 1);
        string[] map = ["--authority", pool.AuthorityName];
        Assert.Equal(0, (await Said.OfAsync(["pool", "drain", "n3", .. map])).Code);
        Assert.Equal(NodeState.Draining, (await pool.MapAsync())!.Find("n3")!.State);
        Assert.Equal(0, (await Said.OfAsync(["pool", "undrain", "n3", .. map])).Code);
        Assert.Equal(NodeState.Up, (await pool.MapAsync())!.Find("n3")!.State);
        await pool.WholeAsync();
        JsonElement[] shards = [.. (await Said.OfAsync(["pool", "shards", "--output", "json", .. map])).Json.GetProperty("shards").EnumerateArray()];
        Assert.Equal([0, 1, 2, 3], shards.Select(static shard => shard.GetProperty("number").GetInt32()));
        Assert.All(shards, static shard => Assert.Equal(3, shard.GetProperty("inSync").GetArrayLength()));
        Assert.Contains("CONDITION", (await Said.OfAsync(["pool", "shards", .. map])).Output, StringComparison.Ordinal);

        // One that is gone for good, by another one as it joins.
        await pool.KillAsync(3);
        pool.Start(4, "--replaces", "n3");
        PoolMap replaced = await pool.WholeAsync();
        Assert.Equal(("n3", NodeState.Draining), (replaced.Find("n4")!.Place, replaced.Find("n3")!.State));
        Assert.All(replaced.Shards, shard => Assert.True(shard.IsInSync(replaced.Find("n4")!.Id)));
        Assert.Equal(0, (await Said.OfAsync(["pool", "remove", "n3", "--yes", .. map])).Code);

        // One that is there, by another one that has joined.
        pool.Start(5);
        await pool.MapThatAsync(static known => known.Find("n5") is not null, "n5 does not join");
        Assert.Equal(3, (await Said.OfAsync(["pool", "replace", "n3", "--by", "n5", .. map])).Code);
        Said done = await Said.OfAsync(["pool", "replace", "n2", "--by", "n5", "--output", "json", .. map]);
        Assert.Contains("drains", done.Json.GetProperty("done").GetString(), StringComparison.Ordinal);
        PoolMap last = await pool.MapThatAsync(
            known => known.Shards.All(shard => shard.InSync.Length == 3 && !shard.IsInSync(known.Find("n2")!.Id)), "n2 keeps copies");
        Assert.Equal("n2", last.Find("n5")!.Place);
        await pool.KillAsync(2);
        await using DriveClient client = await OpenAsync(pool);
        Assert.Equal(Content(1), await Files.ReadAsync(client, "before"));
    }

    /// <summary>Has a shard handed to a node where it may stay, but is not best.</summary>
    private static async Task<(PoolMap Map, ShardId Shard, NodeId To)> HandSomethingOverAsync(PoolProcesses pool)
    {
        PoolMap map = await pool.WholeAsync();
        while (PlacementPlanner.Plan(map, new(9, 9, 1), Everybody, evenly: true) is [{ } step, ..])
        {
            await HandOverAsync(pool, map, step.Shard, step.Node);
            map = await pool.MapThatAsync(known => known[step.Shard].Primary == step.Node, "a shard is not handed over");
        }

        foreach (ShardId shard in map.ShardIds)
        {
            foreach (NodeId to in map[shard].InSync.Select(static copy => copy.Node).Where(node => node != map[shard].Primary))
            {
                PoolMap handed = PoolMapChange.HandOver(map, shard, map[shard], to).Map!;
                if (!PlacementPlanner.Plan(handed, PlacementLimits.Default, Everybody).IsEmpty) { continue; }
                if (PlacementPlanner.Plan(handed, PlacementLimits.Default, Everybody, evenly: true) is not [var back] || back.Shard != shard) { continue; }
                await HandOverAsync(pool, map, shard, to);
                return (await pool.MapThatAsync(known => known[shard].Primary == to, "the shard is not handed over"), shard, to);
            }
        }

        throw new InvalidOperationException("No shard can be where it is not best.");

        static NodePresence Everybody(NodeId node) => NodePresence.Here;
    }

    /// <summary>Has a shard handed over as soon as its primary can: on a busy machine it may have no lease for a moment.</summary>
    private static Task<V1.HandOverReply> HandOverAsync(PoolProcesses pool, PoolMap map, ShardId shard, NodeId to) => PoolWorld.UntilAsync(
        async () =>
        {
            V1.HandOverReply reply = await pool.ChannelTo(PoolProcesses.NumberOf(map, map[shard].Primary)).UnaryAsync(
                PoolMethods.HandOver, new() { Shard = shard.Value, Node = to.Value }, new(), s_none);
            return reply.Status == V1.Status.Ok ? reply : null;
        },
        () => $"shard {shard} is not handed over:\n{pool.Log}");

    private static async Task WriteAsync(PoolProcesses pool, string name, int seed)
    {
        await using DriveClient client = await OpenAsync(pool);
        await Files.WriteAsync(client, name, Content(seed));
    }

    private static byte[] Content(int seed) => Files.Bytes(400_000, seed);

    private static async Task<string[]> NamesAsync(PoolProcesses pool)
    {
        await using DriveClient client = await OpenAsync(pool);
        string[] names = ["after", "before", "lost"];
        List<string> found = [];
        foreach (string name in names)
        {
            Reply<NodeInfo> reply = await client.LookupAsync(VNodeId.Root, System.Text.Encoding.UTF8.GetBytes(name), CowNumber.Head);
            Assert.True(reply.Status is Status.Ok or Status.NotFound, $"{name}: {reply.Status}");
            if (reply.IsOk) { found.Add(name); }
        }

        return [.. found];
    }

    private static Task<DriveClient> OpenAsync(PoolProcesses pool) => PoolWorld.UntilAsync(
        async () => await pool.Admin.OpenSessionAsync("drive", SessionAccess.Alone, s_none) is { IsOk: true } opened
            ? new DriveClient(opened.Value, new(), TimeProvider.System)
            : null,
        () => $"no session: {pool.Log}");
}
