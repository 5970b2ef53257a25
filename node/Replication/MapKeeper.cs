using System.Runtime.Versioning;
using System.Threading.Channels;
using KvFs.Authority;
using KvFs.Core;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Replication;

/// <summary>Knows the pool map as it changes, tells those who live by it, and has it changed.</summary>
/// <remarks>Thread safe. Proposals that wait while one is being decided go together in one change, because a dead node was
/// primary of many shards. Each is tried until it stands in the map, or cannot any more. A map that goes back is refused: then
/// this node keeps to the last one that it knew, and a person must look.</remarks>
[SupportedOSPlatform("linux")]
public sealed partial class MapKeeper : IReignProposer, IAsyncDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    private readonly IPoolAuthority authority;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly Channel<ProposeReign> proposals = Channel.CreateUnbounded<ProposeReign>(new() { SingleReader = true });
    private readonly CancellationTokenSource stop = new();
    private readonly SemaphoreSlim adopting = new(1);
    private PoolMap map;
    private Func<PoolMap, Task>? follow;
    private Action<Reign>? proposed;
    private Task running = Task.CompletedTask;

    /// <param name="authority">Where the map lives; stays the caller's.</param>
    /// <param name="map">What stood there when the node started.</param>
    /// <param name="clock">For pauses.</param>
    /// <param name="logger">Says what goes wrong.</param>
    public MapKeeper(IPoolAuthority authority, PoolMap map, TimeProvider clock, ILogger logger)
    {
        this.authority = authority;
        this.map = map;
        this.clock = clock;
        this.logger = logger;
    }

    /// <summary>The newest map that is known here.</summary>
    public PoolMap Map => Volatile.Read(ref map);

    /// <summary>Begins to watch, and tells what is known already.</summary>
    /// <param name="onMap">Is told each map, one after the other.</param>
    /// <param name="onProposed">Is told that a proposal is decided, after the map that it led to.</param>
    public async Task StartAsync(Func<PoolMap, Task> onMap, Action<Reign> onProposed)
    {
        follow = onMap;
        proposed = onProposed;
        await onMap(map);
        running = Task.WhenAll(Task.Run(WatchAsync), Task.Run(ProposeAsync));
    }

    public void Propose(ProposeReign proposal) => proposals.Writer.TryWrite(proposal);

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        proposals.Writer.TryComplete();
        await running;
        stop.Dispose();
        adopting.Dispose();
    }

    private async Task WatchAsync()
    {
        try
        {
            await foreach (PoolMap next in authority.WatchAsync(Map.Revision, stop.Token)) { await AdoptAsync(next); }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
        catch (Exception e)
        {
            LogUnusable(logger, e.Message);
        }
    }

    /// <summary>Something newer stands there.</summary>
    private async Task AdoptAsync(PoolMap next)
    {
        await adopting.WaitAsync(CancellationToken.None);
        try
        {
            if (next.Revision <= map.Revision) { return; }
            if (PoolMapSuccession.FindBroken(map, next) is { } broken)
            {
                LogUnusable(logger, broken);
                return;
            }

            Volatile.Write(ref map, next);
            await follow!(next);
        }
        finally
        {
            adopting.Release();
        }
    }

    /// <summary>Tries to put a map in the place of the one that it was made of; what stands there afterwards is known here.</summary>
    internal async Task<AuthorityAnswer> SwapAsync(PoolMap before, PoolMap next, CancellationToken cancellation)
    {
        AuthorityAnswer answer = await authority.CompareAndSwapAsync(before.Revision, next, cancellation);
        if (answer is { Outcome: AuthorityOutcome.Ok or AuthorityOutcome.Conflict, Map: { } standing }) { await AdoptAsync(standing); }
        return answer;
    }

    private async Task ProposeAsync()
    {
        List<ProposeReign> open = [];
        try
        {
            while (await proposals.Reader.WaitToReadAsync(stop.Token))
            {
                do
                {
                    while (proposals.Reader.TryRead(out ProposeReign? next))
                    {
                        open.RemoveAll(older => older.Next.Shard == next.Next.Shard);
                        open.Add(next);
                    }

                    await TryAndGoOnAsync(open);
                }
                while (open.Count > 0);
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    /// <summary>Whatever goes wrong, the next try is made: a node that cannot take over is no use.</summary>
    private async Task TryAndGoOnAsync(List<ProposeReign> open)
    {
        try
        {
            await TryAsync(open);
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            LogNotDecided(logger, AuthorityOutcome.Unknown, e.Message);
            await Task.Delay(s_pause, clock, stop.Token);
        }
    }

    /// <summary>Tries once to have all of them in the map; removes those that are decided.</summary>
    private async Task TryAsync(List<ProposeReign> open)
    {
        Decide(open);
        RefuseBroken(open);
        if (open.Count == 0) { return; }
        PoolMap before = Map;
        MapChange change = PoolMapChange.Enact(before, [.. open.Select(static one => (one.Expected, one.Next))]);
        if (change.IsDone)
        {
            AuthorityAnswer answer = await SwapAsync(before, change.Map, stop.Token);
            if (answer is not { Outcome: AuthorityOutcome.Ok or AuthorityOutcome.Conflict, Map: not null })
            {
                LogNotDecided(logger, answer.Outcome, answer.Reason);
            }
        }

        if (Map.Revision == before.Revision)
        {
            // Nobody decided, or what stands there cannot be followed.
            await Task.Delay(s_pause, clock, stop.Token);
            AuthorityAnswer now = await authority.ReadAsync(stop.Token);
            if (now is { Outcome: AuthorityOutcome.Ok, Map: { } read }) { await AdoptAsync(read); }
        }

        Decide(open);
    }

    /// <summary>Refuses those that break a rule of the map: they must not keep the others from it.</summary>
    private void RefuseBroken(List<ProposeReign> open) => open.RemoveAll(one =>
    {
        MapChange alone = PoolMapChange.Enact(Map, [(one.Expected, one.Next)]);
        if (alone.Status != Status.Invalid) { return false; }
        LogRefused(logger, alone.Reason);
        proposed!(one.Next);
        return true;
    });

    private void Decide(List<ProposeReign> open)
    {
        PoolMap known = Map;
        open.RemoveAll(one =>
        {
            ShardEntry entry = known[one.Next.Shard];
            if (entry.Equals(one.Expected.Entry)) { return false; }
            proposed!(one.Next);
            return true;
        });
    }

    [LoggerMessage(
        Level = LogLevel.Critical,
        Message = "The pool map cannot be followed: {Why}. This node keeps to the last one. Restore the map, then start the node again.")]
    private static partial void LogUnusable(ILogger logger, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "A reign that was proposed breaks a rule of the pool map: {Why}.")]
    private static partial void LogRefused(ILogger logger, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The authority did not decide ({Outcome}: {Why}). Trying again.")]
    private static partial void LogNotDecided(ILogger logger, AuthorityOutcome outcome, string why);
}
