using System.Net;
using System.Security.Cryptography.X509Certificates;
using KvFs.Core;

namespace KvFs.Protocol.BlockChannel;

/// <summary>Where and how a server listens, and what it may use.</summary>
public sealed record BlockChannelServerOptions
{
    /// <summary>Where it listens; at least one.</summary>
    public required IReadOnlyList<BlockChannelEndpoint> Endpoints { get; init; }

    /// <summary>Clients of another pool are refused.</summary>
    public required PoolId Pool { get; init; }

    /// <summary>Asked once for each connection after TLS, with the client's certificate (null: it showed none, or there is no
    /// TLS), which TLS has checked as its options say: whether it may come in. Answers from memory.</summary>
    public Func<X509Certificate2?, bool> Admit { get; init; } = static _ => true;

    /// <summary>Told of each connection that ended, or was refused, from the threads of the network. Must not throw.</summary>
    public Action<EndPoint?, ChannelEnd>? ConnectionEnded { get; init; }

    /// <summary>Told what a handler threw and must not. Must not throw.</summary>
    public Action<Exception>? HandlerFailed { get; init; }

    /// <summary>Connections at once: each has 128 KiB of buffers, and may have a chunk of a read whatever others have.</summary>
    public int MaxConnections { get; init; } = 1024;

    /// <summary>Requests in flight on one connection; a client is told. 1 to 65,536.</summary>
    public int MaxRequests { get; init; } = 1024;

    /// <summary>Bytes of blocks that may be on their way on one connection; a client is told. At least 16 MiB.</summary>
    public int WindowBytes { get; init; } = 64 << 20;

    /// <summary>Memory for blocks that come in, of all connections; a write that finds none is answered Busy. At least 16 MiB.
    /// </summary>
    public long WriteBytes { get; init; } = 512L << 20;

    /// <summary>Memory for what was read and is not sent yet, of all connections, beyond a chunk for each.</summary>
    public long ReadBytes { get; init; } = 256L << 20;

    /// <summary>The same, of one connection: what a client that reads slowly may keep occupied.</summary>
    public int ConnectionReadBytes { get; init; } = 8 << 20;

    /// <summary>Payload of one frame, sent and taken: what small requests have to wait behind. A multiple of 64 KiB, at most
    /// 1 MiB. Half of that is as fast; a quarter is not.</summary>
    public int ChunkBytes { get; init; } = 512 << 10;

    /// <summary>Threads that call the handler, started as they are needed: as many may wait for the disk at once.</summary>
    public int CallThreads { get; init; } = 32;

    /// <summary>For TLS and hello.</summary>
    public TimeSpan HandshakeTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A connection of which nothing is heard for so long is closed; a client is told, and pings.</summary>
    public TimeSpan SilenceTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>A connection whose client takes nothing of what is sent for so long is closed.</summary>
    public TimeSpan StallTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A write that has not come in whole after so long ends its connection: it keeps memory occupied.</summary>
    public TimeSpan WriteTime { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long a stop waits for requests in flight.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Times are measured by it.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
