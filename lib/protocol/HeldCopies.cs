using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Protocol;

/// <summary>The copies of shards that a node has, and how far it is with those that do not count yet.</summary>
/// <param name="Node">Its number.</param>
/// <param name="Copies">Ascending by shard.</param>
/// <param name="Healing">How far it is with those that do not count yet; null: all count.</param>
public sealed record HeldCopies(NodeId Node, ImmutableArray<HeldCopy> Copies, HealingState? Healing);

/// <summary>A node's copy of a shard, whether it counts or not.</summary>
/// <param name="Shard">Which one.</param>
/// <param name="Last">The last entry of its log.</param>
/// <param name="Drives">Drives whose home the shard is, by this copy.</param>
/// <param name="Fetching">Blocks that it is fetching; null: it fetches none now.</param>
public sealed record HeldCopy(ShardId Shard, LogPosition Last, ImmutableArray<HeldDrive> Drives, BlockFetching? Fetching);

/// <summary>A drive.</summary>
/// <param name="Drive">Its RUID.</param>
/// <param name="Name">As its user named it.</param>
/// <param name="Spread">Percent of the pool's shards over which its blocks are spread.</param>
public sealed record HeldDrive(DriveId Drive, string Name, int Spread);

/// <summary>Blocks of one copy.</summary>
/// <param name="Missing">Those that it lacked when the primary listed what there is.</param>
/// <param name="Fetched">Of these.</param>
public readonly record struct BlockFetching(ulong Missing, ulong Fetched)
{
    /// <summary>0 to 1.</summary>
    public double Part => Missing == 0 ? 1 : (double)Fetched / Missing;
}

/// <summary>Copies that a node brings up to date, since it had none of them.</summary>
/// <param name="Time">How long ago that was.</param>
/// <param name="Done">Copies that count since.</param>
/// <param name="Left">Copies that do not yet.</param>
/// <param name="Blocks">Blocks that were fetched.</param>
/// <param name="Bytes">Bytes of these.</param>
public readonly record struct HealingState(TimeSpan Time, int Done, int Left, ulong Blocks, ulong Bytes);
