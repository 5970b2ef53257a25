using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Where blocks can be had that are bad here: the other nodes that have copies of their shard.</summary>
/// <remarks>Thread safe.</remarks>
public interface IBlockSource
{
    /// <summary>Fetches a block from whoever has it.</summary>
    /// <param name="block">Which.</param>
    /// <param name="spread">Percent of the pool's shards over which its owner's blocks are spread.</param>
    /// <param name="expected">What it must look like; null: nobody here knows, so what another one has of it is it: a name stands
    /// for one content only.</param>
    /// <param name="content">All of it, if the answer is Ok.</param>
    /// <returns>Ok; NotFound: everybody was asked, and none has it; Corrupt: everybody was asked, and none has it whole; Busy: not
    /// everybody answered.</returns>
    Status Fetch(BlockName block, int spread, BlockIndexEntry? expected, out byte[]? content);

    /// <summary>Whether a block lies on a shard of which this node has a copy, or is to get one.</summary>
    bool IsKeptHere(BlockName block, int spread);

    /// <summary>Reads a range of a block that is not kept here.</summary>
    /// <param name="block">Which.</param>
    /// <param name="spread">Percent of the pool's shards over which its owner's blocks are spread.</param>
    /// <param name="offset">From where on.</param>
    /// <param name="destination">Gets the bytes, if the answer is Ok.</param>
    /// <returns>Ok; Invalid: the range exceeds the block; NotFound: everybody was asked, and none has it; Corrupt: everybody was asked, and none
    /// has it whole; Busy: not everybody answered, for a while.</returns>
    Status Read(BlockName block, int spread, int offset, Span<byte> destination);

    /// <summary>How long blocks are that are not kept here, as far as somebody tells.</summary>
    /// <param name="owner">Of which drive.</param>
    /// <param name="spread">Percent of the pool's shards over which its blocks are spread.</param>
    /// <param name="first">The first number.</param>
    /// <param name="last">The last one.</param>
    /// <returns>Bytes, by number.</returns>
    IReadOnlyDictionary<ulong, uint> ListLengths(DriveId owner, int spread, ulong first, ulong last);
}
