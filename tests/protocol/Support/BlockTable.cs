using System.Collections.Concurrent;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;

namespace KvFs.Protocol.Tests.Support;

/// <summary>Keeps blocks in memory as a node keeps them on its disk, and does what a test puts before that.</summary>
internal sealed class BlockTable : IBlockChannelHandler
{
    private readonly ConcurrentDictionary<BlockName, (byte[] Content, uint[] Checksums)> blocks = new();

    /// <summary>Epoch below which requests are stale.</summary>
    public Epoch Epoch { get; set; }

    /// <summary>Comes before a write; what it answers other than Ok is the answer.</summary>
    public Func<BlockWrite, CancellationToken, ValueTask<BlockAnswer>>? BeforeWrite { get; set; }

    /// <summary>Comes before a part of a read is read; what it answers other than Ok is the answer.</summary>
    public Func<BlockRead, CancellationToken, ValueTask<BlockAnswer>>? BeforeRead { get; set; }

    /// <summary>Changes what was read.</summary>
    public Action<Memory<byte>, Memory<uint>>? AfterRead { get; set; }

    public int Count => blocks.Count;

    public byte[]? Find(BlockName name) => blocks.TryGetValue(name, out (byte[] Content, uint[]) block) ? block.Content : null;

    /// <summary>Checksums as they were stored.</summary>
    public uint[] ChecksumsOf(BlockName name) => blocks[name].Checksums;

    public void Put(BlockName name, byte[] content)
    {
        uint[] checksums = new uint[BlockPieces.Count(0, content.Length)];
        BlockPieces.Checksum(0, content, checksums);
        blocks[name] = (content, checksums);
    }

    public async ValueTask<BlockAnswer> WriteAsync(
        BlockWrite write, ReadOnlyMemory<byte> content, ReadOnlyMemory<uint> checksums, CancellationToken cancellation)
    {
        if (BeforeWrite is { } before && await before(write, cancellation) is { IsOk: false } refused) { return refused; }
        if (write.Epoch < Epoch) { return BlockAnswer.Stale(Epoch); }
        (byte[] Content, uint[] Checksums) block = (content.ToArray(), checksums.ToArray());
        return blocks.GetOrAdd(write.Name, block).Checksums.SequenceEqual(block.Checksums)
            ? BlockAnswer.Ok
            : BlockAnswer.Of(Status.Exists);
    }

    public async ValueTask<BlockAnswer> ReadAsync(
        BlockRead read, int behind, Memory<byte> destination, Memory<uint> checksums, CancellationToken cancellation)
    {
        if (BeforeRead is { } before && await before(read, cancellation) is { IsOk: false } refused) { return refused; }
        if (read.Epoch < Epoch) { return BlockAnswer.Stale(Epoch); }
        if (!blocks.TryGetValue(read.Name, out (byte[] Content, uint[] Checksums) block)) { return BlockAnswer.Of(Status.NotFound); }
        if (read.Offset + (long)read.Length + behind > block.Content.Length) { return BlockAnswer.Of(Status.Invalid); }
        block.Content.AsSpan((int)read.Offset, read.Length).CopyTo(destination.Span);
        BlockPieces.Checksum(read.Offset, destination.Span, checksums.Span);
        AfterRead?.Invoke(destination, checksums);
        return BlockAnswer.Ok;
    }
}
