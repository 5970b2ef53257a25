using KvFs.Core;

namespace KvFs.Node;

/// <summary>What a disk says of the pool that it has been in.</summary>
/// <param name="Pool">Which one; null: none yet.</param>
/// <param name="Known">The newest map that its node has done anything under; null: none is recorded.</param>
internal readonly record struct PoolPast(PoolId? Pool, PoolMap? Known);

/// <summary>A node's part in a pool.</summary>
/// <param name="Map">The map, which has the node.</param>
/// <param name="Process">The node, its disk, and this start of it.</param>
/// <param name="Refusal">Why the map that stands in the authority is not that one, but refused; null: it is that one.</param>
internal sealed record Membership(PoolMap Map, InSyncReplica Process, string? Refusal);
