using KvFs.Core;

namespace KvFs.Protocol.BlockChannel;

/// <summary>How a client connects, and when it gives up.</summary>
public sealed record BlockChannelClientOptions
{
    /// <summary>A server of another pool refuses.</summary>
    public required PoolId Pool { get; init; }

    /// <summary>Payload of one frame, sent and taken: what small requests have to wait behind. A multiple of 64 KiB, at most
    /// 1 MiB. Half of that is as fast; a quarter is not.</summary>
    public int ChunkBytes { get; init; } = 512 << 10;

    /// <summary>Requests that wait because as many are in flight as the server allows; more are answered Busy.</summary>
    public int MaxWaiting { get; init; } = 4096;

    /// <summary>For connecting, TLS and hello.</summary>
    public TimeSpan ConnectTime { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>After such a silence the server is asked whether it is there. What the server tells may make it shorter.</summary>
    public TimeSpan PingInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>After such a silence the server counts as dead, and the connection is closed.</summary>
    public TimeSpan SilenceTime { get; init; } = TimeSpan.FromSeconds(8);

    /// <summary>A server that takes nothing of what is sent for so long counts as dead. A request whose frame is under way
    /// when it is given up ends at the latest after so long: its memory is not free before.</summary>
    public TimeSpan StallTime { get; init; } = TimeSpan.FromSeconds(8);

    /// <summary>Connections of a pool: one keeps one processor of each side busy at most.</summary>
    public int Connections { get; init; } = 2;

    /// <summary>A pool's pause after the first failed attempt; each further one doubles it.</summary>
    public TimeSpan MinBackoff { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>A pool's longest pause between attempts.</summary>
    public TimeSpan MaxBackoff { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Times are measured by it; <see cref="Deadline"/>s must be, too.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
