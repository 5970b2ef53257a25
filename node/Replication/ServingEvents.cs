using System.Threading.Channels;
using KvFs.Core;
using KvFs.Node.Shards;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Replication;

/// <summary>Tells the owner of shards what this node serves: in order, on one thread, without the driver's lock.</summary>
internal sealed partial class ServingEvents : IDisposable
{
    private readonly Channel<(ShardId Shard, IShardLog? Begun)> events =
        Channel.CreateUnbounded<(ShardId, IShardLog?)>(new() { SingleReader = true });

    private readonly IShardOwner owner;
    private readonly ILogger logger;
    private readonly Task telling;

    public ServingEvents(IShardOwner owner, ILogger logger)
    {
        this.owner = owner;
        this.logger = logger;
        telling = Task.Factory.StartNew(
            TellAsync, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
    }

    public void Begin(ShardId shard, IShardLog log) => events.Writer.TryWrite((shard, log));

    public void End(ShardId shard) => events.Writer.TryWrite((shard, null));

    /// <summary>Ends when all was told.</summary>
    public void Dispose()
    {
        events.Writer.TryComplete();
        telling.GetAwaiter().GetResult();
    }

    private async Task TellAsync()
    {
        await foreach ((ShardId shard, IShardLog? begun) in events.Reader.ReadAllAsync())
        {
            try
            {
                if (begun is not null) { owner.OnServing(shard, begun); }
                else { owner.OnServingEnded(shard); }
            }
            catch (Exception e)
            {
                LogFailed(logger, shard, e);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The drives of shard {Shard} could not all be taken up or let go.")]
    private static partial void LogFailed(ILogger logger, ShardId shard, Exception e);
}
