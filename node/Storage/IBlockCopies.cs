using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Where else the blocks of a store are kept: on the other nodes that have copies of their drives' shards.</summary>
/// <remarks>Thread safe.</remarks>
public interface IBlockCopies
{
    /// <summary>Has a block kept wherever it must be before anything may refer to it; it is written here.</summary>
    /// <param name="block">Which.</param>
    /// <param name="content">Lent for the call.</param>
    /// <returns>Ok: it is on disk there. StaleEpoch: this node is not the primary of its shard any more. Else what a copy that
    /// counts answered, and nothing may refer to the block.</returns>
    Status Store(BlockName block, ReadOnlySpan<byte> content);

    /// <summary>Has blocks removed that nothing refers to any more, or, without ids, a drive with all that it has. A copy that
    /// is away keeps them: they are in nobody's way.</summary>
    void Drop(DriveId owner, ReadOnlySpan<BlockId> ids);
}
