using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Cli.Pool;

/// <summary>How far the copies are that do not count yet.</summary>
/// <param name="Percent">Of all copies that the nodes have brought up to date since they began, and are to: 0 to 100.</param>
/// <param name="RemainingSeconds">Until the last of them is through, if it goes on as so far and the copies are much alike; null: not known yet.</param>
/// <param name="Nodes">By number.</param>
/// <param name="Copies">By shard and node.</param>
internal sealed record HealingReport(
    double Percent, double? RemainingSeconds, IReadOnlyList<NodeHealingReport> Nodes, IReadOnlyList<CopyHealingReport> Copies)
{
    private const double Whole = 100;

    /// <summary>Puts together what nodes say; null: no copy is to be brought up to date.</summary>
    /// <param name="map">Who learns what.</param>
    /// <param name="answers">What nodes said.</param>
    public static HealingReport? Of(PoolMap map, PoolAnswers answers)
    {
        CopyHealingReport[] copies =
        [
            .. map.ShardIds.SelectMany(shard => map[shard].Learners.Select(learner => Of(map, shard, learner, answers))),
        ];
        (HeldCopies Held, HealingState State)[] told =
        [
            .. answers.Copies.Where(static held => held.Healing is not null).Select(static held => (held, held.Healing!.Value)).OrderBy(static one => one.held.Node.Value),
        ];
        if (copies.Length == 0 && told.Length == 0) { return null; }
        NodeHealingReport[] nodes = [.. told.Select(one => Of(map, one.Held, one.State))];

        // Learners whose node does not say how it goes count as not begun.
        int silent = copies.Count(copy => answers.Copies.All(held => NameOf(map, held.Node) != copy.Node));
        double all = silent + nodes.Sum(static node => node.Done + node.Left);
        double done = nodes.Sum(static node => (node.Done + node.Left) * node.Percent / Whole);
        double? remaining = silent > 0 || nodes.Any(static node => node.RemainingSeconds is null) ? null : nodes.Max(static node => node.RemainingSeconds);
        return new(all == 0 ? Whole : Whole * done / all, remaining, nodes, copies);
    }

    private static NodeHealingReport Of(PoolMap map, HeldCopies held, HealingState state)
    {
        // What was listed and not fetched yet. A copy that has all blocks still lacks the end of the log: that is not counted.
        double begun = Math.Min(state.Left, held.Copies.Sum(static copy => copy.Fetching?.Part ?? 0));
        double through = state.Done + begun;
        double all = state.Done + state.Left;
        return new(
            NameOf(map, held.Node),
            state.Done,
            state.Left,
            state.Blocks,
            state.Bytes,
            state.Time.TotalSeconds,
            Whole * through / all,
            through > 0 ? state.Time.TotalSeconds * (all - through) / through : null);
    }

    private static CopyHealingReport Of(PoolMap map, ShardId shard, NodeId learner, PoolAnswers answers)
    {
        HeldCopy? copy = answers.CopyOf(learner, shard);
        HeldCopy? whole = answers.CopyOf(map[shard].Primary, shard);
        return new(
            shard.Value,
            NameOf(map, learner),
            copy?.Fetching?.Missing,
            copy?.Fetching?.Fetched,
            copy is null || whole is null ? null : whole.Last.Index.Value - Math.Min(whole.Last.Index.Value, copy.Last.Index.Value));
    }

    private static string NameOf(PoolMap map, NodeId node) => map.Find(node)?.Name ?? node.ToString();
}

/// <summary>A node that brings copies up to date.</summary>
/// <param name="Node">Its name.</param>
/// <param name="Done">Copies that count since it began.</param>
/// <param name="Left">Copies that do not yet.</param>
/// <param name="Blocks">Blocks that it fetched.</param>
/// <param name="Bytes">Bytes of these.</param>
/// <param name="Seconds">Since it began.</param>
/// <param name="Percent">0 to 100.</param>
/// <param name="RemainingSeconds">If it goes on as so far; null: not known yet.</param>
internal sealed record NodeHealingReport(
    string Node, int Done, int Left, ulong Blocks, ulong Bytes, double Seconds, double Percent, double? RemainingSeconds);

/// <summary>A copy that does not count yet.</summary>
/// <param name="Shard">Its number.</param>
/// <param name="Node">Whose it is, by name.</param>
/// <param name="MissingBlocks">Blocks that it lacked when it was told which ones there are; null: not told yet, or its node does not answer.</param>
/// <param name="FetchedBlocks">Of these.</param>
/// <param name="EntriesBehind">Entries of the log that it lacks; null: not known.</param>
internal sealed record CopyHealingReport(ushort Shard, string Node, ulong? MissingBlocks, ulong? FetchedBlocks, ulong? EntriesBehind);
