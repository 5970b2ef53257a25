using KvFs.Core;

namespace KvFs.Cli.Pool;

/// <summary>A pool map that is put together from what nodes know.</summary>
/// <param name="Pool">Its id.</param>
/// <param name="Before">Revision of the map that stands in the authority; null: there is none.</param>
/// <param name="Revision">Of the map that takes its place.</param>
/// <param name="Nodes">By number: who told what.</param>
/// <param name="Without">Nodes that were declared gone, by name.</param>
/// <param name="Shards">By number: those of which the authority has nothing, or an earlier epoch, or of which the nodes do not all know the
/// same.</param>
internal sealed record RebuildReport(
    string Pool,
    ulong? Before,
    ulong Revision,
    IReadOnlyList<KnownMapReport> Nodes,
    IReadOnlyList<string> Without,
    IReadOnlyList<RebuiltShardReport> Shards)
{
    public static RebuildReport Of(PoolMap? standing, PoolMap rebuilt, IReadOnlyList<KnownMap> told, IReadOnlyCollection<NodeId> without) => new(
        rebuilt.Pool.ToString(),
        standing?.Revision,
        rebuilt.Revision,
        [.. told.Select(one => new KnownMapReport(rebuilt.Find(one.Node)?.Name ?? one.Node.ToString(), one.Map.Revision))],
        [.. without.Select(node => rebuilt.Find(node)!.Name)],
        [
            .. rebuilt.ShardIds
                .Where(shard => standing is null || standing[shard].Epoch < rebuilt[shard].Epoch
                    || told.Any(one => !one.Map[shard].Equals(told[0].Map[shard])))
                .Select(shard => new RebuiltShardReport(
                    shard.Value,
                    standing?[shard].Epoch.Value,
                    rebuilt[shard].Epoch.Value,
                    rebuilt.Find(rebuilt[shard].Primary)!.Name,
                    [.. rebuilt[shard].InSync.Select(copy => rebuilt.Find(copy.Node)!.Name)])),
        ]);
}

/// <param name="Node">Its name.</param>
/// <param name="Revision">Of the newest map that it knows.</param>
internal sealed record KnownMapReport(string Node, ulong Revision);

/// <param name="Shard">Its number.</param>
/// <param name="EpochBefore">In the authority; null: there is no map.</param>
/// <param name="Epoch">The highest that a node knows.</param>
/// <param name="Primary">The name of the node that leads it then.</param>
/// <param name="InSync">Names of the nodes that have all of it.</param>
internal sealed record RebuiltShardReport(ushort Shard, ulong? EpochBefore, ulong Epoch, string Primary, IReadOnlyList<string> InSync);
