using System.Collections.Immutable;
using System.Text.Json;
using KvFs.Cli.Control;
using KvFs.Cli.Pool;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Cli.Tests.Pool;

public sealed class PoolReportTests
{
    private const int ShardCount = 4;

    private static readonly HeldDrive Home = new(DriveOf(new(0)), "home", 0);

    private static readonly HeldDrive Lake = new(DriveOf(new(2)), "lake", 50);

    private static readonly HeldDrive Rest = new(DriveOf(new(1)), "rest", 0);

    private static readonly PoolMap Whole = Founded();

    [Fact]
    public void Without_answers_a_report_says_what_the_map_says()
    {
        PoolReport report = PoolReport.Of(Whole, answers: null);
        Assert.Equal(($"{ShardCount} shards: {ShardCount} full", null, null), (report.Summary, report.Drives, report.Healing));
        Assert.All(report.Nodes, static node => Assert.Null(node.Presence));
    }

    [Fact]
    public void A_pool_in_which_all_are_there_has_no_drive_at_risk_and_heals_nothing()
    {
        PoolReport report = PoolReport.Of(Whole, Answers(Whole, [1, 2, 3]));
        Assert.Empty(report.Drives!);
        Assert.Null(report.Healing);
        Assert.All(report.Nodes, static node => Assert.Equal(("here", null), (node.Presence, node.Trouble)));
        Assert.Empty(Text(report));
    }

    [Fact]
    public void Drives_that_lack_copies_are_named_the_worst_first_also_by_what_they_have_on_other_shards()
    {
        // Shard 3 has one copy left, shard 0 two; the lake's home is shard 2, and half of the shards have its blocks.
        PoolMap map = Without(Without(Without(Whole, new(0), 3), new(3), 3), new(3), 2);
        PoolReport report = PoolReport.Of(map, Answers(map, [1, 2, 3]));
        Assert.Equal(["lake", "home"], report.Drives!.Select(static drive => drive.Name));
        Assert.Equal(("at risk", 1), (report.Drives![0].Condition, report.Drives[0].Copies));
        Assert.Equal([3], report.Drives[0].Shards.Select(static shard => (int)shard));
        Assert.Equal(("healing", 2), (report.Drives[1].Condition, report.Drives[1].Copies));
        Assert.Equal(1, report.Shards[3].Present);
        Assert.Contains("lake   1 of 3  at risk    3", Text(report), StringComparison.Ordinal);
    }

    [Fact]
    public void Who_does_not_answer_is_silent_and_what_it_serves_has_no_primary()
    {
        PoolAnswers answers = Answers(Whole, [1, 2]);
        PoolReport report = PoolReport.Of(Whole, answers);
        Assert.Equal(["here", "here", "silent"], report.Nodes.Select(static node => node.Presence));
        Assert.Equal("lost", PoolReport.Of(Whole, answers with { Best = answers.Best! with { Peers = Presence(NodePresence.Lost) } }).Nodes[2].Presence);
        Assert.All(report.Shards.Where(static shard => shard.Primary == 3), static shard => Assert.Equal("without primary", shard.Condition));
        Assert.Equal(["home", "lake", "rest"], report.Drives!.Select(static drive => drive.Name).Order());
        Assert.Equal("refuses", PoolReport.Of(Whole, answers with { Answers = [answers.Answers[0] with { Trouble = "refuses" }] }).Nodes[0].Trouble);
    }

    [Fact]
    public void Healing_is_what_the_nodes_have_done_of_what_they_are_to_with_a_guess_of_the_rest()
    {
        PoolMap map = Without(Without(Whole, new(0), 3), new(1), 3);
        HealingState state = new(TimeSpan.FromSeconds(30), 1, 2, 7, 7 << 20);
        PoolAnswers answers = Answers(map, [1, 2, 3], (3, state, new(0), new(10, 5)));
        HealingReport healing = PoolReport.Of(map, answers).Healing!;
        Assert.Equal((50, 30), (healing.Percent, healing.RemainingSeconds));
        NodeHealingReport node = Assert.Single(healing.Nodes);
        Assert.Equal(("n3", 1, 2, 7ul, 7ul << 20, 30), (node.Node, node.Done, node.Left, node.Blocks, node.Bytes, node.Seconds));
        Assert.Equal(
            [new(0, "n3", 10, 5, 5), new(1, "n3", null, null, 5)],
            healing.Copies);
        string text = Text(PoolReport.Of(map, answers));
        Assert.Contains("Healing: 50 %, about 30 s left", text, StringComparison.Ordinal);
        Assert.Contains("n3: 1 of 3 copies, 7 MiB in 7 blocks fetched", text, StringComparison.Ordinal);
        Assert.Contains("shard 0 on n3: 5 of 10 blocks, 5 entries behind", text, StringComparison.Ordinal);
        Assert.Contains("1 copies of n3 wait\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void What_learns_and_does_not_answer_has_not_begun_and_nobody_knows_for_how_long()
    {
        PoolMap map = Without(Without(Whole, new(0), 3), new(1), 3);
        PoolReport report = PoolReport.Of(map, Answers(map, [1, 2]));
        HealingReport healing = report.Healing!;
        Assert.Equal((0, null), (healing.Percent, healing.RemainingSeconds));
        Assert.Contains("2 copies of n3 wait: it does not answer", Text(report), StringComparison.Ordinal);
        Assert.Equal([new(0, "n3", null, null, null), new(1, "n3", null, null, null)], healing.Copies);

        // One that has only begun has no rate.
        HealingState state = new(TimeSpan.FromSeconds(1), 0, 2, 0, 0);
        Assert.Null(PoolReport.Of(map, Answers(map, [1, 2, 3], (3, state, new(0), new(10, 0)))).Healing!.RemainingSeconds);
    }

    [Theory]
    [InlineData(0.2, "1 s")]
    [InlineData(59, "59 s")]
    [InlineData(61, "2 min")]
    [InlineData(9000, "2.5 h")]
    public void Times_are_said_as_people_do(double seconds, string expected) => Assert.Equal(expected, PoolStatusView.Describe(seconds));

    [Fact]
    public void Names_of_the_json_stay()
    {
        PoolMap map = Without(Whole, new(0), 3);
        HealingState state = new(TimeSpan.FromSeconds(30), 1, 1, 7, 7 << 20);
        string json = JsonSerializer.Serialize(PoolReport.Of(map, Answers(map, [1, 2, 3], (3, state, new(0), new(10, 5)))), ControlJson.Readable.PoolReport);
        JsonElement report = JsonDocument.Parse(json).RootElement;
        Assert.Equal("home", report.GetProperty("drives")[0].GetProperty("name").GetString());
        Assert.Equal(2, report.GetProperty("drives")[0].GetProperty("copies").GetInt32());
        Assert.Equal(75, report.GetProperty("healing").GetProperty("percent").GetDouble());
        Assert.Equal(10, report.GetProperty("healing").GetProperty("copies")[0].GetProperty("missingBlocks").GetInt32());
        Assert.Equal("here", report.GetProperty("nodes")[2].GetProperty("presence").GetString());
        Assert.Equal(2, report.GetProperty("shards")[0].GetProperty("present").GetInt32());
    }

    private static string Text(PoolReport report)
    {
        using StringWriter output = new();
        PoolStatusView.Write(output, report);
        return output.ToString();
    }

    /// <summary>What nodes say of whom some are there: each has all of its copies up to entry 15, or 10 of those that do not count.</summary>
    private static PoolAnswers Answers(
        PoolMap map, int[] here, params (int Node, HealingState State, ShardId Shard, BlockFetching Fetching)[] healing)
    {
        NodeActivity[] did = [.. here.Select(static number => new NodeActivity(
            new((uint)number), new(1), default, true, null, 0, 0, 0, 0, 0, 0, []) { Peers = Presence(NodePresence.Silent) })];
        HeldCopies[] held = [.. here.Select(number =>
        {
            NodeId node = new((uint)number);
            (int Node, HealingState State, ShardId Shard, BlockFetching Fetching)[] heals = [.. healing.Where(one => one.Node == number)];
            return new HeldCopies(
                node,
                [.. map.ShardIds.Where(shard => map[shard].IsInSync(node) || map[shard].IsLearner(node)).Select(shard => new HeldCopy(
                    shard,
                    new(new(1), new(map[shard].IsInSync(node) ? 15ul : 10)),
                    [.. new[] { Home, Lake, Rest }.Where(drive => HomeShard.Of(drive.Drive, ShardCount) == shard)],
                    heals.Where(one => one.Shard == shard).Select(static one => (BlockFetching?)one.Fetching).FirstOrDefault()))],
                heals.Select(static one => (HealingState?)one.State).FirstOrDefault());
        })];
        return new(did, did[0], held);
    }

    private static ImmutableDictionary<NodeId, NodePresence> Presence(NodePresence third) =>
        ImmutableDictionary<NodeId, NodePresence>.Empty.Add(new(3), third);

    /// <summary>A node's copy does not count any more, and learns.</summary>
    private static PoolMap Without(PoolMap map, ShardId shard, uint node)
    {
        PoolMap led = map;
        if (map[shard].Primary.Value == node)
        {
            NodeId other = map[shard].InSync.First(copy => copy.Node.Value != node).Node;
            led = PoolMapChange.HandOver(map, shard, map[shard], other).Map!;
        }

        return PoolMapChange.DropReplica(led, shard, led[shard], new(node), byMajority: true).Map!;
    }

    private static PoolMap Founded()
    {
        (NodeIntroduction, BootId)[] founders =
        [
            .. Enumerable.Range(1, 3).Select(static number => (
                new NodeIntroduction($"n{number}", [$"10.0.0.{number}:1"], "", PoolLimits.NormalWeight, new((UInt128)(uint)number)), new BootId(1))),
        ];
        return PoolMapChange.Found(new(7), PoolSettings.Default, ShardCount, founders).Map!;
    }

    private static DriveId DriveOf(ShardId shard)
    {
        for (ulong number = 1; ; number++)
        {
            DriveId drive = new(number);
            if (HomeShard.Of(drive, ShardCount) == shard) { return drive; }
        }
    }
}
