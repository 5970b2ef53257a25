using Google.Protobuf;
using KvFs.Core;
using KvFs.Direct;

namespace KvFs.Protocol.Wire;

/// <summary>Ranges of blocks on the wire: bytes, and their checksum.</summary>
public static class WireRanges
{
    /// <summary>A range of bytes that stay as they are until it has left.</summary>
    public static V1.BlockRange ToRange(this AttachedBytes content)
    {
        ArgumentNullException.ThrowIfNull(content);
        return new() { Data = UnsafeByteOperations.UnsafeWrap(content.Memory), Crc32C = Crc32C.Compute(content.Memory.Span) };
    }

    /// <summary>Copies what came out.</summary>
    /// <returns>Ok: the destination is full; NotSupported: none came, or not as much as was asked for; Corrupt: it does not have its
    /// checksum.</returns>
    public static Status CopyTo(this V1.BlockRange? range, Span<byte> destination)
    {
        if (range is null || range.Data.Length != destination.Length) { return Status.NotSupported; }
        if (Crc32C.Compute(range.Data.Span) != range.Crc32C) { return Status.Corrupt; }
        range.Data.Span.CopyTo(destination);
        return Status.Ok;
    }
}
