using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Where else the blocks of a store are kept: on the other nodes that have copies of their drives' shards.</summary>
/// <remarks>Thread safe.</remarks>
public interface IBlockCopies
{
    /// <summary>Has a block kept wherever it must be before anything may refer to it. It is written here: what is refused here must not
    /// come to be elsewhere.</summary>
    /// <param name="block">Which.</param>
    /// <param name="content">Lent for the call.</param>
    /// <param name="meanwhile">What is to be done here while it is on its way; is called once at the most.</param>
    /// <returns>Ok: it is on disk there, and what was to be done here is. StaleEpoch: this node is not the primary of its shard any more.
    /// Else what was answered here, or by a copy that counts, and nothing may refer to the block.</returns>
    Status Store(BlockName block, ReadOnlySpan<byte> content, Func<Status> meanwhile);

    /// <summary>Has a block of a drive whose blocks are spread kept by the key primary and all other copies of the block's shard; here only
    /// if this node is one of them.</summary>
    /// <param name="block">Which.</param>
    /// <param name="spread">Percent of the pool's shards over which its owner's blocks are spread: 1 to 100.</param>
    /// <param name="content">Lent for the call.</param>
    /// <param name="use">What it is for, if it is kept here.</param>
    /// <returns>Ok: it is on disk there, its index entries too. StaleEpoch: this node is not the primary of the owner's home shard any more.
    /// Busy: nobody could keep it for a while. Else what was answered by who is to keep it, and nothing may refer to the block.</returns>
    Status StoreSpread(BlockName block, int spread, ReadOnlySpan<byte> content, SpaceUse use);

    /// <summary>Has blocks removed that nothing refers to any more, or, without ids, a drive with all that it has. A copy that
    /// is away keeps them: they are in nobody's way.</summary>
    /// <param name="owner">The drive that made them.</param>
    /// <param name="spread">Percent of the pool's shards over which its blocks are spread.</param>
    /// <param name="ids">Which.</param>
    void Drop(DriveId owner, int spread, ReadOnlySpan<BlockId> ids);
}
