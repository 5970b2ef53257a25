using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Writes the content of a block.</summary>
public delegate Status BlockWrite(ReadOnlySpan<byte> content);

/// <summary>Where else the blocks of a store are kept: on the other nodes that have copies of their drives' shards.</summary>
/// <remarks>Thread safe.</remarks>
public interface IBlockCopies
{
    /// <summary>Has a block kept wherever it must be before anything may refer to it, and writes it here meanwhile.</summary>
    /// <param name="block">Which.</param>
    /// <param name="content">Lent for the call.</param>
    /// <param name="writeHere">Writes it here; is called once at the most.</param>
    /// <returns>Ok: it is on disk there, and written here. StaleEpoch: this node is not the primary of its shard any more. Else what the
    /// write here, or a copy that counts, answered, and nothing may refer to the block.</returns>
    Status Store(BlockName block, ReadOnlySpan<byte> content, BlockWrite writeHere);

    /// <summary>Has blocks removed that nothing refers to any more, or, without ids, a drive with all that it has. A copy that
    /// is away keeps them: they are in nobody's way.</summary>
    void Drop(DriveId owner, ReadOnlySpan<BlockId> ids);
}
