using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Which shard keeps a block: that of its key primary.</summary>
/// <remarks>
/// A drive's blocks are spread over k = ⌈shards × spread / 100⌉ shards, its home shard and those that follow it by number
/// (modulo the number of shards): neighbours by number lie nowhere near one another on the ring. Of these, the block's is
/// number h mod k, where h is XXH64, seed 0, of 24 bytes: 0-15: RUID of the owner; 16-23: block id; big-endian. The
/// spread is the owner's, also for blocks that a clone's slices name, and never changes: they would be looked for where they
/// are not. A spread of 0 is the narrowest: all blocks lie on the home shard. Source: docs/placement.md#blocks.
/// </remarks>
public static class ShardOfBlock
{
    /// <summary>Spread of a drive that asks for nothing else, in percent.</summary>
    public const int DefaultSpread = 0;

    /// <summary>The widest spread, in percent.</summary>
    public const int MaxSpread = 100;

    /// <param name="block">The owner drive and the number of the block.</param>
    /// <param name="spread">Percent of the shards over which the owner's blocks are spread: 0 to 100.</param>
    /// <param name="shardCount">Shards of the pool.</param>
    public static ShardId Of(BlockName block, int spread, int shardCount)
    {
        Invariant.Check(spread is >= 0 and <= MaxSpread);
        if (spread == 0) { return HomeShard.Of(block.Owner, shardCount); }
        int used = ShardsUsed(spread, shardCount);
        Span<byte> bytes = stackalloc byte[DriveId.Size + sizeof(ulong)];
        block.Owner.Write(bytes);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[DriveId.Size..], block.Id.Value);
        int offset = (int)(XxHash64.Compute(bytes) % (ulong)used);
        return new((ushort)((HomeShard.Of(block.Owner, shardCount).Value + offset) % shardCount));
    }

    /// <summary>How many shards keep blocks of a drive.</summary>
    public static int ShardsUsed(int spread, int shardCount) => Math.Max(1, ((shardCount * spread) + 99) / 100);

    /// <summary>The shards that keep blocks of a drive, its home shard first.</summary>
    public static IEnumerable<ShardId> ShardsOf(DriveId owner, int spread, int shardCount)
    {
        int home = HomeShard.Of(owner, shardCount).Value;
        for (int step = 0; step < ShardsUsed(spread, shardCount); step++) { yield return new((ushort)((home + step) % shardCount)); }
    }
}
