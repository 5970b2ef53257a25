using System.Buffers;

namespace KvFs.Core;

/// <summary>What holds of every pool map, whoever made it.</summary>
/// <remarks>Source: docs/placement.md#the-map.</remarks>
public static class PoolMapRules
{
    /// <summary>Highest revision and epoch: what every reader of JSON can tell from its neighbours.</summary>
    public const ulong MaxNumber = (1UL << 53) - 1;

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    private static readonly SearchValues<char> AddressCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/[]%@");

    /// <summary>The first rule that a map breaks, in words; null if it breaks none.</summary>
    internal static string? FindBroken(PoolMap map) => OfPool(map) ?? OfNodes(map) ?? OfShards(map);

    private static string? OfPool(PoolMap map)
    {
        if (map.Pool.Value == 0) { return "the pool has no id"; }
        if (map.Revision is 0 or > MaxNumber) { return $"revision {map.Revision} is not between 1 and 2^53 - 1"; }
        (int replicas, int minInSync) = map.Settings;
        if (replicas is < 1 or > PoolLimits.Replicas)
        {
            return $"{replicas} replicas are not between 1 and {PoolLimits.Replicas}";
        }

        if (minInSync < 1 || minInSync > replicas) { return $"minInSync {minInSync} is not between 1 and {replicas}"; }
        if (map.Nodes.Length > PoolLimits.Nodes) { return $"{map.Nodes.Length} nodes are more than {PoolLimits.Nodes}"; }
        return map.Shards.Length is < 1 or > PoolLimits.Shards
            ? $"{map.Shards.Length} shards are not between 1 and {PoolLimits.Shards}"
            : null;
    }

    private static string? OfNodes(PoolMap map)
    {
        HashSet<string> names = new(StringComparer.Ordinal);
        HashSet<string> places = new(StringComparer.Ordinal);
        HashSet<DiskId> disks = [];
        uint before = 0;
        foreach (PoolNode node in map.Nodes)
        {
            string who = $"node {node.Id.Value}";
            if (node.Id.Value <= before) { return $"{who} is not above the one before it"; }
            before = node.Id.Value;
            if (FindBroken(node) is { } broken) { return $"{who}: {broken}"; }
            if (!disks.Add(node.Disk)) { return $"{who}: its disk is another node's, too"; }
            if (node.State != NodeState.Gone && !names.Add(node.Name)) { return $"{who}: its name is another node's, too"; }
            if (node.State == NodeState.Up && !places.Add(node.Place)) { return $"{who}: its place is another node's, too"; }
        }

        return map.NextNode.Value <= before ? $"the next node's id, {map.NextNode.Value}, is in use" : null;
    }

    private static string? FindBroken(PoolNode node)
    {
        if (!IsName(node.Name)) { return "its name is not 1 to 253 letters, digits, dots, dashes or underscores"; }
        if (!IsName(node.Place)) { return "its place is not 1 to 253 letters, digits, dots, dashes or underscores"; }
        if (node.Zone.Length > 0 && !IsName(node.Zone))
        {
            return "its zone is not at most 253 letters, digits, dots, dashes or underscores";
        }

        if (node.Weight is 0 or > PoolLimits.MaxWeight) { return $"its weight is not 1 to {PoolLimits.MaxWeight} percent"; }
        if (node.State is < NodeState.Up or > NodeState.Gone) { return "it has no state"; }
        if (node.Disk.Value == 0) { return "it has no disk"; }
        if (node.Addresses.IsDefault || node.Addresses.Length is 0 or > PoolLimits.Addresses)
        {
            return $"it has not 1 to {PoolLimits.Addresses} addresses";
        }

        return node.Addresses.All(IsAddress) ? null : "an address is not 1 to 300 characters of a host name, port or URL";
    }

    private static string? OfShards(PoolMap map)
    {
        for (int shard = 0; shard < map.Shards.Length; shard++)
        {
            if (FindBroken(map, map.Shards[shard]) is { } broken) { return $"shard {shard}: {broken}"; }
        }

        return null;
    }

    private static string? FindBroken(PoolMap map, ShardEntry entry)
    {
        if (entry.Epoch.Value is 0 or > MaxNumber) { return $"epoch {entry.Epoch} is not between 1 and 2^53 - 1"; }
        if (entry.InSync.IsDefaultOrEmpty) { return "no copy is in sync"; }
        if (entry.Enough is < 1 or > PoolLimits.Replicas)
        {
            return $"{entry.Enough} copies being enough is not between 1 and {PoolLimits.Replicas}";
        }

        if (entry.Learners.IsDefault) { return "it has no list of learners"; }
        if (entry.InSync.Length + entry.Learners.Length > PoolLimits.Copies)
        {
            return $"it has more than {PoolLimits.Copies} copies";
        }

        uint before = 0;
        foreach (InSyncReplica replica in entry.InSync)
        {
            uint id = replica.Node.Value;
            if (id <= before) { return $"in-sync node {id} is not above the one before it"; }
            before = id;
            PoolNode? node = map.Find(replica.Node);
            if (node is null || node.State == NodeState.Gone) { return $"in-sync node {id} is not in the pool"; }
            if (node.Disk != replica.Disk) { return $"in-sync node {id} has another disk than its copy"; }
            if (replica.Boot.Value == 0) { return $"in-sync node {id} has no boot id"; }
        }

        if (!entry.IsInSync(entry.Primary)) { return $"its primary, node {entry.Primary.Value}, is not in sync"; }
        return FindBrokenLearner(map, entry) ?? (entry.Loss is { } loss ? FindBroken(loss, entry.Epoch) : null);
    }

    private static string? FindBroken(ShardLoss loss, Epoch now)
    {
        if (loss.Epoch.Value == 0 || loss.Epoch > now) { return $"its loss is of epoch {loss.Epoch}, and it is at {now}"; }
        if (loss.End.Epoch >= loss.Epoch) { return $"its loss begins behind an entry of epoch {loss.End.Epoch}"; }
        if (loss.End.Index.Value > MaxNumber || loss.AtMs > MaxNumber) { return "its loss has a number above 2^53 - 1"; }
        if (loss.Gone.IsDefaultOrEmpty || loss.Gone.Length > PoolLimits.Copies) { return "its loss does not say who was in sync"; }
        return loss.By.Length > 0 && ShardLoss.IsText(loss.By) && ShardLoss.IsText(loss.Why)
            ? null
            : $"its loss does not say by whom and why in at most {PoolLimits.LossTextBytes} plain characters each";
    }

    private static string? FindBrokenLearner(PoolMap map, ShardEntry entry)
    {
        uint before = 0;
        foreach (NodeId learner in entry.Learners)
        {
            if (learner.Value <= before) { return $"learner {learner.Value} is not above the one before it"; }
            before = learner.Value;
            PoolNode? node = map.Find(learner);
            if (node is null || node.State == NodeState.Gone) { return $"learner {learner.Value} is not in the pool"; }
            if (entry.IsInSync(learner)) { return $"learner {learner.Value} is in sync already"; }
        }

        return null;
    }

    private static bool IsName(string text) =>
        text.Length is > 0 and <= PoolLimits.NameBytes && !text.AsSpan().ContainsAnyExcept(NameCharacters);

    private static bool IsAddress(string text) =>
        text.Length is > 0 and <= PoolLimits.AddressBytes && !text.AsSpan().ContainsAnyExcept(AddressCharacters);
}
