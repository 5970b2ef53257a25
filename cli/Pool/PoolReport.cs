using System.Globalization;
using KvFs.Core;

namespace KvFs.Cli.Pool;

/// <summary>A pool, as its map has it.</summary>
/// <param name="Pool">Its id.</param>
/// <param name="Revision">Of the map.</param>
/// <param name="Replicas">Copies that each shard is to have.</param>
/// <param name="MinInSync">Copies without which nothing is acknowledged.</param>
/// <param name="Summary">How the shards are, in words.</param>
/// <param name="Nodes">By number.</param>
/// <param name="Shards">By number.</param>
/// <param name="Drives">Drives of which not everything has all copies, the worst first; null: nodes were not asked.</param>
/// <param name="Healing">How far the copies are that do not count yet; null: there is none, or nodes were not asked.</param>
internal sealed record PoolReport(
    string Pool,
    ulong Revision,
    int Replicas,
    int MinInSync,
    string Summary,
    IReadOnlyList<PoolNodeReport> Nodes,
    IReadOnlyList<PoolShardReport> Shards,
    IReadOnlyList<DriveRisk>? Drives,
    HealingReport? Healing)
{
    /// <param name="map">Who has what.</param>
    /// <param name="answers">Who is there now; null: nobody was asked, and all are taken to be.</param>
    public static PoolReport Of(PoolMap map, PoolAnswers? answers)
    {
        PoolHealth health = PoolHealth.Of(map, answers is null ? static _ => NodePresence.Here : answers.PresenceOf);
        Dictionary<NodeId, NodeLoad> loads = health.Nodes.ToDictionary(static load => load.Node);
        return new(
            map.Pool.ToString(),
            map.Revision,
            map.Settings.Replicas,
            map.Settings.MinInSync,
            health.Summarize(),
            [
                .. map.Nodes.Where(static node => node.State != NodeState.Gone).Select(node => new PoolNodeReport(
                    node.Id.Value,
                    node.Name,
                    string.Join(' ', node.Addresses),
                    node.Zone,
                    node.State == NodeState.Draining ? "draining" : "up",
                    loads[node.Id].Primaries,
                    loads[node.Id].InSync,
                    loads[node.Id].Learning,
                    answers is null ? null : DescribePresence(answers.PresenceOf(node.Id)),
                    answers?.Find(node.Id)?.Trouble)),
            ],
            [
                .. map.ShardIds.Select(shard => new PoolShardReport(
                    shard.Value,
                    map[shard].Epoch.Value,
                    map[shard].Primary.Value,
                    [.. map[shard].InSync.Select(static copy => copy.Node.Value)],
                    [.. map[shard].Learners.Select(static node => node.Value)],
                    PoolHealth.Describe(health.Shards[shard.Value].Condition),
                    health.Shards[shard.Value].Present,
                    map[shard].Loss is { } loss ? PoolLossReport.Of(map, loss) : null)),
            ],
            answers is null ? null : DriveRisk.AllOf(map, health, answers),
            answers is null ? null : HealingReport.Of(map, answers));
    }

    private static string DescribePresence(NodePresence presence) => presence switch
    {
        NodePresence.Here => "here",
        NodePresence.Silent => "silent",
        _ => "lost",
    };
}

/// <param name="Number">Given by the map; never used again.</param>
/// <param name="Name">What people call it.</param>
/// <param name="Address">Where it is reached.</param>
/// <param name="Zone">What fails together with it.</param>
/// <param name="State">up, or draining.</param>
/// <param name="Primaries">Shards that it serves.</param>
/// <param name="InSync">Shards of which it has a copy that counts.</param>
/// <param name="Learning">Shards of which it is brought up to date.</param>
/// <param name="Presence">here, silent, or lost: for so long that its copies are made anew; null: nobody was asked.</param>
/// <param name="Trouble">What the node says that a person should look at; null: nothing.</param>
internal sealed record PoolNodeReport(
    uint Number, string Name, string Address, string Zone, string State, int Primaries, int InSync, int Learning, string? Presence, string? Trouble);

/// <param name="Number">Of the shard.</param>
/// <param name="Epoch">Its reign.</param>
/// <param name="Primary">The number of the node that serves it.</param>
/// <param name="InSync">Nodes that have all of it.</param>
/// <param name="Learning">Nodes that are brought up to date.</param>
/// <param name="Condition">In words.</param>
/// <param name="Present">Copies in sync on nodes that are here.</param>
/// <param name="Loss">That it once began anew from a stale copy; null: never.</param>
internal sealed record PoolShardReport(
    ushort Number, ulong Epoch, uint Primary, IReadOnlyList<uint> InSync, IReadOnlyList<uint> Learning, string Condition, int Present, PoolLossReport? Loss);

/// <summary>On record: <c>kvfs pool force</c>.</summary>
/// <param name="Epoch">The reign that began so.</param>
/// <param name="EndEpoch">The reign that wrote the last entry that the copy had.</param>
/// <param name="EndIndex">That entry's number.</param>
/// <param name="Gone">Names of the nodes that were in sync until then.</param>
/// <param name="Time">When.</param>
/// <param name="By">Who accepted the loss.</param>
/// <param name="Why">In their words; may be empty.</param>
internal sealed record PoolLossReport(
    ulong Epoch, ulong EndEpoch, ulong EndIndex, IReadOnlyList<string> Gone, DateTimeOffset Time, string By, string Why)
{
    public static PoolLossReport Of(PoolMap map, ShardLoss loss) => new(
        loss.Epoch.Value,
        loss.End.Epoch.Value,
        loss.End.Index.Value,
        [.. loss.Gone.Select(node => map.Find(node)?.Name ?? node.ToString())],
        DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Min(loss.AtMs, (ulong)DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())),
        loss.By,
        loss.Why);

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"began anew at epoch {Epoch} from a copy that ended at entry {EndIndex} of epoch {EndEpoch}: accepted by {By} at {Time:yyyy-MM-dd HH:mm:ss}Z{(Why.Length == 0 ? "" : $" ({Why})")}");
}
