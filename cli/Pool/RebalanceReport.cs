using KvFs.Core;

namespace KvFs.Cli.Pool;

/// <summary>What is to move so that a pool is as its ring wants it.</summary>
/// <param name="Copies">Copies that are made, or being made.</param>
/// <param name="Primaries">Shards that another node is to serve.</param>
/// <param name="Drops">Copies that are not needed any more.</param>
/// <param name="Absent">Nodes that do not answer: what only they could do, or get, waits.</param>
internal sealed record RebalanceReport(
    IReadOnlyList<CopyMove> Copies, IReadOnlyList<PrimaryMove> Primaries, IReadOnlyList<CopyDrop> Drops, IReadOnlyList<string> Absent)
{
    /// <summary>All at once, whatever may be under way at a time.</summary>
    private static readonly PlacementLimits s_all = new(int.MaxValue, int.MaxValue, int.MaxValue);

    public int Moves => Copies.Count + Primaries.Count + Drops.Count;

    /// <summary>What the planner says, with all that may come of it.</summary>
    public static RebalanceReport Of(PoolMap map, Func<NodeId, NodePresence> presence)
    {
        List<CopyMove> copies = [];
        List<PrimaryMove> primaries = [];
        List<CopyDrop> drops = [];
        foreach (PlacementStep step in PlacementPlanner.Plan(map, s_all, presence, evenly: true).OrderBy(static step => step.Shard))
        {
            string name = NameOf(step.Node);
            switch (step.Kind)
            {
                case PlacementStepKind.MovePrimary:
                    primaries.Add(new(step.Shard.Value, NameOf(map[step.Shard].Primary), name));
                    break;
                case PlacementStepKind.AddLearner or PlacementStepKind.AwaitPromotion:
                    copies.Add(new(step.Shard.Value, name, step.Kind == PlacementStepKind.AwaitPromotion));
                    break;
                default:
                    drops.Add(new(step.Shard.Value, name));
                    break;
            }
        }

        IEnumerable<PoolNode> absent = map.Nodes.Where(node => node.State != NodeState.Gone && presence(node.Id) != NodePresence.Here);
        return new(copies, primaries, drops, [.. absent.Select(static node => node.Name)]);

        string NameOf(NodeId node) => map.Find(node)!.Name;
    }
}

/// <param name="To">The node that gets it.</param>
/// <param name="IsUnderWay">It is being brought up to date.</param>
internal sealed record CopyMove(ushort Shard, string To, bool IsUnderWay);

/// <param name="From">The node that serves it now.</param>
/// <param name="To">The node that is to.</param>
internal sealed record PrimaryMove(ushort Shard, string From, string To);

/// <param name="From">The node that has it.</param>
internal sealed record CopyDrop(ushort Shard, string From);
