using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

/// <summary>Blocks of another data folder, as a node's that has copies.</summary>
internal sealed class OtherFolder(DataFolder folder) : IBlockSource
{
    /// <summary>Happens before a block is given.</summary>
    internal Action<BlockName> Asked { get; set; } = static _ => { };

    /// <summary>Blocks lie here, too.</summary>
    internal bool IsKept { get; set; } = true;

    public Status Fetch(BlockName block, int spread, BlockIndexEntry? expected, out byte[]? content)
    {
        Asked(block);
        content = null;
        Status status = folder.Blocks.GetBlockLength(block, out int length);
        if (status != Status.Ok) { return status; }
        content = new byte[length];
        return folder.Blocks.ReadOwnCopy(block, 0, content);
    }

    public bool IsKeptHere(BlockName block, int spread) => IsKept;

    public Status Read(BlockName block, int spread, int offset, Span<byte> destination)
    {
        Asked(block);
        return folder.Blocks.ReadOwnCopy(block, offset, destination);
    }

    public IReadOnlyDictionary<ulong, uint> ListLengths(DriveId owner, int spread, ulong first, ulong last) => new Dictionary<ulong, uint>();
}
