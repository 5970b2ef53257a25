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

    /// <summary>Has blocks removed that nothing refers to any more, or, without ids, a drive with all that it has. A copy that
    /// is away keeps them: they are in nobody's way.</summary>
    void Drop(DriveId owner, ReadOnlySpan<BlockId> ids);
}
