namespace KvFs.Protocol.BlockChannel;

/// <summary>What answers the requests of a <see cref="BlockChannelServer"/>: a node.</summary>
/// <remarks>Called from several threads of the server's own (<see cref="BlockChannelServerOptions.CallThreads"/>), which may be
/// blocked by a disk. Memory is lent until the answer. What it throws ends the request only, with
/// <see cref="Core.Status.Unknown"/> for a write, <see cref="Core.Status.IoError"/> for a read; an
/// <see cref="OperationCanceledException"/> of the given token is what a client that cancelled expects.</remarks>
public interface IBlockChannelHandler
{
    /// <summary>Stores a block that came in whole and with its checksums.</summary>
    /// <param name="write">Which block.</param>
    /// <param name="content">1 byte to 16 MiB; starts at a page of native memory, so a disk takes it without a copy.</param>
    /// <param name="checksums">CRC-32C of each 64 KiB of it, compared with the bytes: those to store with the block.</param>
    /// <param name="cancellation">The client, or the connection, has gone.</param>
    ValueTask<BlockAnswer> WriteAsync(
        BlockWrite write, ReadOnlyMemory<byte> content, ReadOnlyMemory<uint> checksums, CancellationToken cancellation);

    /// <summary>Reads a part of a block.</summary>
    /// <remarks>A long read is asked for in parts, in their order, so that it needs no memory for all of it; each part ends where
    /// a unit of the block does, or with the read.</remarks>
    /// <param name="read">This part.</param>
    /// <param name="behind">Bytes that the client asked for behind it: they will be read soon.</param>
    /// <param name="destination">To be filled; as long as the part; starts at a page of native memory.</param>
    /// <param name="checksums">To be filled: CRC-32C of each piece (<see cref="BlockPieces"/>) of the part. The client compares
    /// them with what reaches it; where a piece is a unit of the block, they are those that the disk keeps.</param>
    /// <param name="cancellation">The client, or the connection, has gone.</param>
    ValueTask<BlockAnswer> ReadAsync(
        BlockRead read, int behind, Memory<byte> destination, Memory<uint> checksums, CancellationToken cancellation);
}
