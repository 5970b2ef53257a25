using KvFs.Protocol.BlockChannel.Connection;

namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>What the connections of a server share.</summary>
internal sealed class ServerContext(BlockChannelServerOptions options, IBlockChannelHandler handler) : IDisposable
{
    /// <summary>Free memory that is kept for the next block, of writes and of reads.</summary>
    private const long KeptBytes = 64 << 20;

    /// <summary>Seconds without a request after which kept memory goes back to the system.</summary>
    private const int IdleSeconds = 10;

    public BlockChannelServerOptions Options { get; } = options;

    public HandlerCalls Calls { get; } = new(handler, options.Clock, options.HandlerFailed);

    public CallThreads Threads { get; } = new(options.CallThreads);

    public ChannelMemory WriteMemory { get; } = new(options.WriteBytes, Math.Min(KeptBytes, options.WriteBytes));

    public ChannelMemory ReadMemory { get; } = new(options.ReadBytes, Math.Min(KeptBytes, options.ReadBytes));

    /// <summary>To be called once a second.</summary>
    public void Tick()
    {
        WriteMemory.Tick(IdleSeconds);
        ReadMemory.Tick(IdleSeconds);
    }

    public void Dispose()
    {
        Threads.Dispose();
        WriteMemory.Dispose();
        ReadMemory.Dispose();
    }
}
