using System.Runtime.Versioning;
using KvFs.Core;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Replication;

/// <summary>Brings copies to where the ring wants them: carries out the planner's steps for the shards that this node is primary
/// of.</summary>
/// <remarks>Every node plans for itself and from the same map, so all come to much the same; of what two do at once, the
/// authority lets one stand. A change waits for the one before.</remarks>
[SupportedOSPlatform("linux")]
public sealed partial class PlacementKeeper : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    private readonly MapKeeper map;
    private readonly ReplicationDriver driver;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly CancellationTokenSource stop = new();
    private Task running = Task.CompletedTask;

    public PlacementKeeper(
        MapKeeper map, ReplicationDriver driver, TimeProvider clock, ILogger logger)
    {
        this.map = map;
        this.driver = driver;
        this.clock = clock;
        this.logger = logger;
    }

    public void Start() => running = Task.Run(RunAsync);

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await running;
        stop.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            while (true) { await Task.Delay(await StepAndGoOnAsync() ? s_pause : s_interval, clock, stop.Token); }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    private async Task<bool> StepAndGoOnAsync()
    {
        try
        {
            return await StepAsync();
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            LogFailed(logger, e.Message);
            return false;
        }
    }

    /// <summary>Carries out what can be now; several steps of different shards go in one change.</summary>
    /// <returns>Whether something was changed: then more can be, soon.</returns>
    private async Task<bool> StepAsync()
    {
        if (map.Refusal is not null) { return false; }
        PoolMap now = map.Map;
        PoolMap next = now;
        HashSet<ShardId> changed = [];
        foreach (PlacementStep step in PlacementPlanner.Plan(now, PlacementLimits.Default, driver.PresenceOf))
        {
            ShardEntry entry = next[step.Shard];
            if (entry.Primary != driver.Process.Node || changed.Contains(step.Shard)) { continue; }
            if (step.Kind == PlacementStepKind.MovePrimary)
            {
                driver.HandOver(step.Shard, step.Node);
                continue;
            }

            MapChange change = step.Kind switch
            {
                PlacementStepKind.AddLearner => PoolMapChange.AddLearner(next, step.Shard, entry, step.Node),
                PlacementStepKind.DropLearner => PoolMapChange.DropLearner(next, step.Shard, entry, step.Node),
                PlacementStepKind.DropSurplus => PoolMapChange.DropSurplus(next, step.Shard, entry, step.Node),
                _ => MapChange.Refuse(Status.Busy, "it goes on by itself"),
            };
            if (!change.IsDone) { continue; }
            LogStep(logger, step.Kind, step.Node, step.Shard);
            next = change.Map!;

            // A reign goes on through one change of its entry; after two it would have to begin anew.
            changed.Add(step.Shard);
        }

        if (next.Revision == now.Revision) { return false; }

        // All of it is one change of what stands there.
        PoolMap.TryCreate(
            next.Pool, now.Revision + 1, next.Settings, next.NextNode, next.Nodes, next.Shards, out PoolMap? whole, out string reason);
        if (whole is null) { throw new InvalidOperationException($"The steps of a plan break a rule: {reason}"); }
        await map.SwapAsync(now, whole, stop.Token);
        return true;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A plan could not be carried out: {Why}. The next one is tried.")]
    private static partial void LogFailed(ILogger logger, string why);

    [LoggerMessage(Level = LogLevel.Information, Message = "Plan: {Kind} of node {Node} for shard {Shard}.")]
    private static partial void LogStep(ILogger logger, PlacementStepKind kind, NodeId node, ShardId shard);
}
