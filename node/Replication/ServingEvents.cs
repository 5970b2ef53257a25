using System.Collections.Concurrent;
using KvFs.Core;
using KvFs.Node.Shards;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Replication;

/// <summary>Tells the owner of shards what this node serves: in order, on one thread, without the driver's lock.</summary>
internal sealed partial class ServingEvents : IDisposable
{
    private readonly BlockingCollection<(ShardId Shard, IShardLog? Begun)> events = [];
    private readonly IShardOwner owner;
    private readonly ILogger logger;
    private readonly Thread thread;

    public ServingEvents(IShardOwner owner, ILogger logger)
    {
        this.owner = owner;
        this.logger = logger;
        thread = new(Tell) { Name = "kvfs-serving", IsBackground = true };
        thread.Start();
    }

    public void Begin(ShardId shard, IShardLog log) => events.Add((shard, log));

    public void End(ShardId shard) => events.Add((shard, null));

    /// <summary>Ends when all was told. Nothing may come any more.</summary>
    public void Dispose()
    {
        events.CompleteAdding();
        thread.Join();
        events.Dispose();
    }

    private void Tell()
    {
        foreach ((ShardId shard, IShardLog? begun) in events.GetConsumingEnumerable())
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
