using System.Runtime.Versioning;
using System.Threading.Channels;
using KvFs.Authority;
using KvFs.Core;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Replication;

/// <summary>Knows the pool map as it changes, tells those who live by it, and has it changed.</summary>
/// <remarks>Thread safe. Proposals that wait while one is being decided go together in one change, because a dead node was
/// primary of many shards. Each is tried until it stands in the map, or cannot any more. A map that goes back is refused
/// (<see cref="Refusal"/>): then this node keeps to the last one that it knew and puts nothing, until one stands there that can follow: that
/// one restored, or rebuilt.</remarks>
[SupportedOSPlatform("linux")]
public sealed partial class MapKeeper : IReignProposer, IAsyncDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    /// <summary>Between two looks whether a map can be followed again.</summary>
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    /// <summary>Why an authority without a map is refused.</summary>
    internal const string NoMap = "there is none, as if its store had been emptied";

    private readonly IPoolAuthority authority;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly Channel<ProposeReign> proposals = Channel.CreateUnbounded<ProposeReign>(new() { SingleReader = true });
    private readonly CancellationTokenSource stop = new();
    private readonly SemaphoreSlim adopting = new(1);
    private PoolMap map;
    private string? refusal;
    private Func<PoolMap, Task>? follow;
    private Action<Reign>? proposed;
    private Task running = Task.CompletedTask;

    /// <param name="authority">Where the map lives; stays the caller's.</param>
    /// <param name="map">What stood there when the node started, or what it knew before, if that is refused.</param>
    /// <param name="refusal">Why what stands there is refused; null: it is not.</param>
    /// <param name="clock">For pauses.</param>
    /// <param name="logger">Says what goes wrong.</param>
    public MapKeeper(IPoolAuthority authority, PoolMap map, string? refusal, TimeProvider clock, ILogger logger)
    {
        this.authority = authority;
        this.map = map;
        this.refusal = refusal;
        this.clock = clock;
        this.logger = logger;
    }

    /// <summary>The newest map that is known here.</summary>
    public PoolMap Map => Volatile.Read(ref map);

    /// <summary>Why what stands in the authority is refused, for people; null: it is not, as far as is known.</summary>
    public string? Refusal => Volatile.Read(ref refusal);

    /// <summary>Is told that a map can be followed again after others were refused. Set before the start.</summary>
    internal Func<CancellationToken, Task>? Accepted { get; set; }

    /// <summary>The newest revision that another node which is there has said it knows. Set before the start.</summary>
    internal Func<ulong>? NewestHeard { get; set; }

    /// <summary>Begins to watch, and tells what is known already.</summary>
    /// <param name="onMap">Is told each map, one after the other.</param>
    /// <param name="onProposed">Is told that a proposal is decided, after the map that it led to.</param>
    public async Task StartAsync(Func<PoolMap, Task> onMap, Action<Reign> onProposed)
    {
        follow = onMap;
        proposed = onProposed;
        if (Refusal is { } why) { LogUnusable(logger, why, map.Revision); }
        await onMap(map);
        running = Task.WhenAll(Task.Run(WatchAsync), Task.Run(LookAsync), Task.Run(ProposeAsync));
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
            while (true)
            {
                await FollowAsync();
                await Task.Delay(s_look, clock, stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    /// <summary>Follows what comes to stand there, until that cannot be followed.</summary>
    private async Task FollowAsync()
    {
        try
        {
            await foreach (PoolMap next in authority.WatchAsync(Map.Revision, stop.Token)) { await AdoptAsync(next); }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception e)
        {
            Refuse(e.Message);
        }
    }

    /// <summary>Looks, where that is in doubt, whether what stands there can be followed.</summary>
    private async Task LookAsync()
    {
        try
        {
            while (true)
            {
                await Task.Delay(s_look, clock, stop.Token);
                if (Refusal is not null || Heard > Map.Revision) { await LookOnceAsync(); }
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    private async Task LookOnceAsync()
    {
        try
        {
            await JudgeAsync(stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception e)
        {
            Refuse(e.Message);
        }
    }

    /// <summary>Reads what stands there, and follows or refuses it.</summary>
    private async Task<AuthorityAnswer> JudgeAsync(CancellationToken cancellation)
    {
        // What was known here, or others had heard of, before this was read must stand there.
        ulong heard = Heard;
        PoolMap known = Map;
        AuthorityAnswer answer = await authority.ReadAsync(cancellation);
        string? why = answer switch
        {
            { Outcome: AuthorityOutcome.Ok, Map: null } => NoMap,
            { Outcome: AuthorityOutcome.Ok, Map: { } standing } when standing.Revision < heard =>
                $"it has revision {standing.Revision}, and other nodes know revision {heard}",
            { Outcome: AuthorityOutcome.Ok, Map: { } standing } when standing.Revision < known.Revision || Refusal is not null =>
                PoolMapSuccession.FindRefusal(known, standing),
            { Outcome: AuthorityOutcome.Damaged } => $"it cannot be read: {answer.Reason}",
            _ => null,
        };
        if (why is not null)
        {
            Refuse(why);
            return answer;
        }

        if (answer.Outcome != AuthorityOutcome.Ok) { return answer; }
        bool wasRefused = Interlocked.Exchange(ref refusal, null) is not null;
        await AdoptAsync(answer.Map!);
        if (!wasRefused || Refusal is not null) { return answer; }
        LogAccepted(logger, Map.Revision);
        if (Accepted is not null) { await Accepted(cancellation); }
        return answer;
    }

    private ulong Heard => NewestHeard?.Invoke() ?? 0;

    private void Refuse(string reason)
    {
        // Some are sentences, and others follow.
        string why = reason.TrimEnd('.');
        if (Interlocked.Exchange(ref refusal, why) is null) { LogUnusable(logger, why, Map.Revision); }
    }

    /// <summary>Something newer stands there.</summary>
    private async Task AdoptAsync(PoolMap next)
    {
        await adopting.WaitAsync(CancellationToken.None);
        try
        {
            // While one is refused, only what is judged is followed.
            if (next.Revision <= map.Revision || Refusal is not null) { return; }
            if (PoolMapSuccession.FindBroken(map, next) is { } broken)
            {
                Refuse(broken);
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
        // What stands there may have come to the same revision by another way.
        if (Refusal is { } why) { return new(AuthorityOutcome.Unavailable, null, $"the map that stands there is refused: {why}"); }
        if (Heard > before.Revision)
        {
            AuthorityAnswer newer = await JudgeAsync(cancellation);
            return newer.Outcome == AuthorityOutcome.Ok
                ? newer with { Outcome = AuthorityOutcome.Conflict, Reason = "other nodes know a newer map than this was made of" }
                : newer;
        }

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
        if (Refusal is not null)
        {
            await Task.Delay(s_look, clock, stop.Token);
            return;
        }

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
        Message = "The pool map in the authority is refused: {Why}. This node keeps to the one that it knows, of revision {Revision}, and nothing changes hands. Restore the newest map there, or put it together from what the nodes know: `kvfs pool rebuild`.")]
    private static partial void LogUnusable(ILogger logger, string why, ulong revision);

    [LoggerMessage(Level = LogLevel.Information, Message = "The pool map in the authority can be followed again, at revision {Revision}.")]
    private static partial void LogAccepted(ILogger logger, ulong revision);

    [LoggerMessage(Level = LogLevel.Error, Message = "A reign that was proposed breaks a rule of the pool map: {Why}.")]
    private static partial void LogRefused(ILogger logger, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The authority did not decide ({Outcome}: {Why}). Trying again.")]
    private static partial void LogNotDecided(ILogger logger, AuthorityOutcome outcome, string why);
}
