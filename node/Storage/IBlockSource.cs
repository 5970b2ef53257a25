using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Where blocks can be had that are bad here: the other nodes that have copies of their shard.</summary>
/// <remarks>Thread safe.</remarks>
public interface IBlockSource
{
    /// <summary>Fetches a block from whoever has it.</summary>
    /// <param name="block">Which.</param>
    /// <param name="expected">What it must look like; null: nobody here knows, so what another one has of it is it: a name stands
    /// for one content only.</param>
    /// <param name="content">All of it, if the answer is Ok.</param>
    /// <returns>Ok; NotFound: everybody was asked, and none has it; Corrupt: everybody was asked, and none has it whole; Busy: not
    /// everybody answered.</returns>
    Status Fetch(BlockName block, BlockIndexEntry? expected, out byte[]? content);
}
