namespace KvFs.Protocol.BlockChannel.Wire;

/// <summary>What a frame is. Numbers on the wire: never renumber. Source: docs/block-channel.md#frames.</summary>
internal enum FrameKind : byte
{
    /// <summary>A block is to be stored; carries its first bytes.</summary>
    Write = 1,

    /// <summary>The next bytes of a block.</summary>
    WriteMore = 2,

    /// <summary>A part of a block is to be sent.</summary>
    Read = 3,

    /// <summary>Kept for comparing sets of blocks: answered as not supported.</summary>
    HasBlocks = 4,

    /// <summary>The client has no more use for a request, and sends no more of it.</summary>
    Cancel = 5,

    /// <summary>Are you there?</summary>
    Ping = 6,

    /// <summary>A client's request if it is known; else answered as not supported.</summary>
    LastRequest = 63,

    /// <summary>A part of what a read asked for.</summary>
    Data = 65,

    /// <summary>How a request ended.</summary>
    Answer = 66,

    /// <summary>The answer of a ping.</summary>
    Pong = 70,

    /// <summary>The server takes no new requests, and finishes those that it has.</summary>
    Drain = 80,

    /// <summary>The sender's last frame, and why.</summary>
    Bye = 81,
}
