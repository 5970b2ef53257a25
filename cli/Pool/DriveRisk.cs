using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Cli.Pool;

/// <summary>A drive of which not everything has all copies.</summary>
/// <param name="Name">As its user named it.</param>
/// <param name="Condition">The worst of its shards, in words.</param>
/// <param name="Copies">Those of the shard that has fewest: in sync, on nodes that are here.</param>
/// <param name="Shards">Those of its shards that have too few copies, or nobody who serves them.</param>
internal sealed record DriveRisk(string Name, string Condition, int Copies, IReadOnlyList<ushort> Shards)
{
    /// <summary>The drives whose shards lack copies, the worst first.</summary>
    public static IReadOnlyList<DriveRisk> AllOf(PoolMap map, PoolHealth health, PoolAnswers answers)
    {
        List<(ShardCondition Worst, DriveRisk Drive)> found = [];
        foreach (HeldDrive drive in map.ShardIds.SelectMany(shard => DrivesOf(map, shard, answers)))
        {
            ShardHealth[] lacking =
            [
                .. ShardOfBlock.ShardsOf(drive.Drive, drive.Spread, map.Shards.Length)
                    .Select(shard => health.Shards[shard.Value])
                    .Where(static shard => shard.Condition > ShardCondition.Moving),
            ];
            if (lacking.Length == 0) { continue; }
            ShardCondition worst = lacking.Max(static shard => shard.Condition);
            found.Add((worst, new(
                drive.Name, PoolHealth.Describe(worst), lacking.Min(static shard => shard.Present), [.. lacking.Select(static shard => shard.Shard.Value).Order()])));
        }

        return [.. found.OrderByDescending(static one => one.Worst).ThenBy(static one => one.Drive.Name, StringComparer.Ordinal).Select(static one => one.Drive)];
    }

    /// <summary>The drives of a shard, by the best of the copies whose nodes answer: its primary, one that counts, any.</summary>
    private static IEnumerable<HeldDrive> DrivesOf(PoolMap map, ShardId shard, PoolAnswers answers)
    {
        ShardEntry entry = map[shard];
        return entry.InSync.Select(static copy => copy.Node)
            .OrderBy(node => node == entry.Primary ? 0 : 1)
            .Concat(entry.Learners)
            .Select(node => answers.CopyOf(node, shard)?.Drives)
            .FirstOrDefault(static drives => drives is not null) ?? [];
    }
}
