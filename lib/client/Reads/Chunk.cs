using KvFs.Core;

namespace KvFs.Client;

internal enum ChunkState
{
    Queued,
    Loading,
    Ready,

    /// <summary>Out of the cache: it could not be read, or is not needed any more.</summary>
    Gone,
}

/// <summary>Names a chunk: the part of a block from Index times <see cref="ChunkCache.ChunkBytes"/> on.</summary>
internal readonly record struct ChunkKey(BlockName Block, uint Index);

/// <summary>A part of a block that was read ahead. The cache's lock guards it; its bytes do not change once it is
/// ready. </summary>
internal sealed class Chunk
{
    public ChunkKey Key { get; set; }

    /// <summary>The bytes of the block that it has: [From, To).</summary>
    public uint From { get; set; }

    public uint To { get; set; }

    public PoolBuffer? Buffer { get; set; }

    public ChunkState State { get; set; }

    /// <summary>Readers that it is lent to, and the thread that loads it.</summary>
    public int Pins { get; set; }

    /// <summary>Bytes that were handed out.</summary>
    public long Consumed { get; set; }

    /// <summary>The queue has it, perhaps only for a moment more.</summary>
    public bool IsListed { get; set; }

    public Signal Loaded { get; } = new();

    public Chunk? Older { get; set; }

    public Chunk? Newer { get; set; }
}

/// <summary>Bytes of a chunk that a reader looks at where they are.</summary>
/// <param name="Chunk">The chunk, pinned.</param>
/// <param name="Start">The first byte in its buffer.</param>
/// <param name="Length">Bytes from there.</param>
internal readonly record struct ChunkLoan(Chunk Chunk, int Start, int Length)
{
    public ReadOnlySpan<byte> Span => Chunk.Buffer!.Span.Slice(Start, Length);
}
