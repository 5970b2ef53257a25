using System.Threading.Channels;
using KvFs.Core;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Replication;

/// <summary>Tells the owner of shards what this node serves: in order, on one thread, without the driver's lock.</summary>
internal sealed partial class ServingEvents : IDisposable
{
    private readonly Channel<(ShardId Shard, Epoch? Begun)> events =
        Channel.CreateUnbounded<(ShardId, Epoch?)>(new() { SingleReader = true });

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

    public void Begin(ShardId shard, Epoch epoch) => events.Writer.TryWrite((shard, epoch));

    public void End(ShardId shard) => events.Writer.TryWrite((shard, null));

    /// <summary>Ends when all was told.</summary>
    public void Dispose()
    {
        events.Writer.TryComplete();
        telling.GetAwaiter().GetResult();
    }

    private async Task TellAsync()
    {
        await foreach ((ShardId shard, Epoch? begun) in events.Reader.ReadAllAsync())
        {
            try
            {
                if (begun is { } epoch) { owner.OnServing(shard, epoch); }
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
