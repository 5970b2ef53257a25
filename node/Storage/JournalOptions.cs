using System.Buffers.Binary;
using System.Security.Cryptography;

namespace KvFs.Node.Storage;

/// <summary>Sizes of a journal.</summary>
internal sealed record JournalOptions
{
    /// <summary>Bytes of a segment's file: small enough to be filled with zeros in some milliseconds, large enough that a
    /// change of segments is rare.</summary>
    internal int SegmentBytes { get; init; } = 4 << 20;

    /// <summary>Bytes of all segments: writers wait rather than make more. Bounds the start after a crash, and memory.
    /// </summary>
    internal long MaxBytes { get; init; } = 32L << 20;

    /// <summary>Bytes of records after which the tables are flushed, so that segments can be used again. What is left to
    /// <see cref="MaxBytes"/> is room for those who write meanwhile.</summary>
    internal long FlushBytes { get; init; } = 20L << 20;

    /// <summary>Bytes of the changes of one batch: a shard's largest transaction, 16 MiB, and what is around it. A batch that
    /// has no room in a usual segment gets one of its own.</summary>
    internal int MaxPayloadBytes { get; init; } = 17 << 20;

    /// <summary>Changes that gather before the tables take them at once: a power of two. As many as some sixty transactions
    /// make, which the tables take in less than a millisecond.</summary>
    internal int GatheredChanges { get; init; } = 512;

    /// <summary>Draws a number that nobody can guess.</summary>
    internal Func<ulong> Draw { get; init; } = static () =>
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    };
}
