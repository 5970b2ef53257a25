using KvFs.Core;

namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>The bounds of the wire format, version 1. Source: docs/block-channel.md.</summary>
internal static class WireLimits
{
    /// <summary>Payload of one frame, at the most: what a small request may have to wait behind.</summary>
    public const int MaxPayloadBytes = 1 << 20;

    /// <summary>The least that a peer takes as a frame's payload: one checksum unit.</summary>
    public const int MinPayloadBytes = Limits.ChecksumUnitBytes;

    /// <summary>The least window of a server: one block of any size.</summary>
    public const int MinWindowBytes = Limits.BlockBytes;

    /// <summary>Checksums of one frame, at the most: 1 MiB that starts and ends within units.</summary>
    public const int MaxPieces = (MaxPayloadBytes / Limits.ChecksumUnitBytes) + 1;

    /// <summary>Requests in flight that a server may allow: bounds a client's table.</summary>
    public const int MaxRequests = 1 << 16;

    /// <summary>Bytes of a reason in a hello or a goodbye.</summary>
    public const int ReasonBytes = 255;
}
