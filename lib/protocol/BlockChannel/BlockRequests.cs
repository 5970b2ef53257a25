using KvFs.Core;

namespace KvFs.Protocol.BlockChannel;

/// <summary>What a write asks for beyond the bytes. Numbers on the wire: never renumber.</summary>
[Flags]
public enum BlockWriteFlags : byte
{
    None = 0,

    /// <summary>The receiver is the key primary: it answers once every in-sync replica has the block, too.</summary>
    Forward = 1,

    /// <summary>Ok means on disk, with the index entry: not only written.</summary>
    Durable = 2,
}

/// <summary>Which block is to be stored, and under whose reign.</summary>
/// <param name="Shard">The shard that the block belongs to.</param>
/// <param name="Epoch">The shard's epoch in the pool map that the sender goes by.</param>
/// <param name="Name">A name stands for one content only.</param>
/// <param name="Flags">What Ok is to promise.</param>
public readonly record struct BlockWrite(ShardId Shard, Epoch Epoch, BlockName Name, BlockWriteFlags Flags);

/// <summary>Which part of which block is to be read.</summary>
/// <param name="Shard">The shard that the block belongs to.</param>
/// <param name="Epoch">The shard's epoch in the pool map that the sender goes by.</param>
/// <param name="Name">The block.</param>
/// <param name="Offset">First byte, in the block.</param>
/// <param name="Length">Bytes: 1 to 16 MiB, and no further than 16 MiB into the block.</param>
public readonly record struct BlockRead(ShardId Shard, Epoch Epoch, BlockName Name, uint Offset, int Length);

/// <summary>How a request ended.</summary>
/// <param name="Status">What became of it.</param>
/// <param name="Epoch">With <see cref="Status.StaleEpoch"/>: the newer epoch of the shard, if the other side knows it.</param>
public readonly record struct BlockAnswer(Status Status, Epoch Epoch)
{
    public static BlockAnswer Ok => default;

    public bool IsOk => Status == Status.Ok;

    /// <summary>An answer that is no more than its status.</summary>
    public static BlockAnswer Of(Status status) => new(status, default);

    /// <summary>The sender's pool map is of an earlier reign than this one.</summary>
    public static BlockAnswer Stale(Epoch newer) => new(Status.StaleEpoch, newer);
}
