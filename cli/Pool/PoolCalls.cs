using System.Collections.Concurrent;
using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Top;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Peers;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Cli.Pool;

/// <summary>Asks the nodes of a pool, all at once. Who does not answer in time is left out.</summary>
/// <remarks>Thread safe.</remarks>
internal sealed class PoolCalls(PeerSecurity security) : IDisposable
{
    /// <summary>A node that is there answers in milliseconds; one that is busy is given some time.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <summary>Longer, where one that is only slow must not be taken for gone.</summary>
    private static readonly TimeSpan s_copyPatience = TimeSpan.FromSeconds(15);

    private readonly ConcurrentDictionary<string, Lazy<GrpcChannel>> channels = new(StringComparer.Ordinal);

    /// <summary>Does something with the authority and the nodes of the pool that a command is told.</summary>
    public static async Task UseAsync(CommandContext context, Func<IPoolAuthority, PoolCalls, Task> work)
    {
        using PoolCalls calls = new(PoolOptions.OpenSecurity(context, NullLoggerFactory.Instance));
        IPoolAuthority authority = PoolOptions.OpenAuthority(context);
        await using (authority.ConfigureAwait(false)) { await work(authority, calls).ConfigureAwait(false); }
    }

    public void Dispose()
    {
        foreach (Lazy<GrpcChannel> channel in channels.Values)
        {
            if (channel.IsValueCreated) { channel.Value.Dispose(); }
        }
    }

    /// <summary>The newest map that one of the nodes at these addresses knows; null: none answers.</summary>
    public async Task<V1.PoolMapReply?> FindMapAsync(IEnumerable<string> addresses, CancellationToken cancel)
    {
        V1.PoolMapReply?[] told = await Task.WhenAll(
            addresses.Select(address => AskAsync(address, PoolMethods.GetMap, new(), static reply => reply, cancel))).ConfigureAwait(false);
        return told.MaxBy(static one => one?.Revision ?? 0);
    }

    /// <summary>The nodes as they are now, and the pool as the one of them sees it that knows most.</summary>
    public async Task<TopSample> SampleAsync(V1.PoolMapReply map, CancellationToken cancel)
    {
        V1.MapNode[] nodes = [.. map.Nodes.Where(static node => node.State != V1.MapNodeState.Gone)];
        NodeActivity?[] did = await Task.WhenAll(nodes.Select(node => ActivityOfAsync(node, cancel))).ConfigureAwait(false);
        return new(
            Best(did)?.Condition,
            [.. nodes.Zip(did, (node, activity) => new TopNodeSample(
                node.Name,
                node.Zone,
                node.State == V1.MapNodeState.Draining ? "draining" : "up",
                new(
                    map.Shards.Count(shard => shard.Primary == node.Id),
                    map.Shards.Count(shard => shard.InSync.Contains(node.Id)),
                    map.Shards.Count(shard => shard.Learners.Contains(node.Id))),
                activity is null ? null : TopCounters.Of(activity)))]);
    }

    /// <summary>Who of a pool is there, and what those say that are.</summary>
    public async Task<PoolAnswers> AnswersAsync(PoolMap map, CancellationToken cancel)
    {
        PoolNode[] nodes = [.. map.Nodes.Where(static node => node.State != NodeState.Gone)];
        NodeActivity?[] did = await Task.WhenAll(nodes.Select(node => AskAsync(
            node.Addresses[0],
            PoolMethods.GetActivity,
            new(),
            reply => reply.Node == node.Id.Value ? reply.ToCore() : null,
            cancel))).ConfigureAwait(false);
        return new([.. did.OfType<NodeActivity>()], Best(did), []);
    }

    /// <summary>The same, and which copies they have.</summary>
    public async Task<PoolAnswers> AnswersWithCopiesAsync(PoolMap map, CancellationToken cancel)
    {
        PoolAnswers answers = await AnswersAsync(map, cancel).ConfigureAwait(false);
        HeldCopies?[] held = await Task.WhenAll(answers.Answers.Select(one => AskAsync(
            map.Find(one.Node)!.Addresses[0],
            PoolMethods.GetCopies,
            new(),
            reply => reply.Node == one.Node.Value ? reply.ToCore() : null,
            cancel))).ConfigureAwait(false);
        return answers with { Copies = [.. held.OfType<HeldCopies>()] };
    }

    /// <summary>The newest map that each node knows, of those that answer: first at these addresses, then wherever their maps say that there are
    /// nodes.</summary>
    public async Task<IReadOnlyList<KnownMap>> KnownMapsAsync(IEnumerable<string> addresses, CancellationToken cancel)
    {
        HashSet<string> asked = new(StringComparer.Ordinal);
        Dictionary<(PoolId Pool, NodeId Node), KnownMap> told = [];
        string[] next = [.. addresses.Distinct(StringComparer.Ordinal)];
        while (next.Length > 0)
        {
            asked.UnionWith(next);
            KnownMap?[] answers = await Task.WhenAll(next.Select(address => AskAsync(
                address, PoolMethods.GetKnownMap, new(), static reply => reply.ToCore(), cancel, s_copyPatience))).ConfigureAwait(false);
            foreach (KnownMap one in answers.OfType<KnownMap>()) { told[(one.Map.Pool, one.Node)] = one; }
            next =
            [
                .. told.Values
                    .SelectMany(static one => one.Map.Nodes)
                    .Where(static node => node.State != NodeState.Gone)
                    .SelectMany(static node => node.Addresses)
                    .Distinct(StringComparer.Ordinal)
                    .Where(address => !asked.Contains(address)),
            ];
        }

        return [.. told.Values.OrderBy(static one => one.Node.Value)];
    }

    /// <summary>How far the copies of a shard are, of the nodes that answer.</summary>
    public async Task<IReadOnlyList<CopyReport>> CopiesAsync(PoolMap map, ShardId shard, CancellationToken cancel)
    {
        CopyReport?[] told = await Task.WhenAll(map.Nodes
            .Where(static node => node.State != NodeState.Gone)
            .SelectMany(static node => node.Addresses)
            .Distinct(StringComparer.Ordinal)
            .Select(address => AskAsync(
                address, PoolMethods.GetCopy, new() { Shard = shard.Value }, static reply => reply.ToCore(), cancel, s_copyPatience))).ConfigureAwait(false);
        return [.. told.OfType<CopyReport>().DistinctBy(static report => report.Process)];
    }

    /// <summary>Has a shard's primary hand it over. Null: it does not answer.</summary>
    public Task<V1.HandOverReply?> HandOverAsync(PoolMap map, ShardId shard, NodeId to, CancellationToken cancel) => AskAsync(
        map.Find(map[shard].Primary)!.Addresses[0],
        PoolMethods.HandOver,
        new() { Shard = shard.Value, Node = to.Value },
        static reply => reply,
        cancel);

    private Task<NodeActivity?> ActivityOfAsync(V1.MapNode node, CancellationToken cancel) => node.Addresses.Count == 0
        ? Task.FromResult<NodeActivity?>(null)
        : AskAsync(node.Addresses[0], PoolMethods.GetActivity, new(), reply => reply.Node == node.Id ? reply.ToCore() : null, cancel);

    /// <summary>The node that knows the newest map and hears most.</summary>
    private static NodeActivity? Best(IEnumerable<NodeActivity?> did) => did
        .OfType<NodeActivity>()
        .OrderByDescending(static one => one.Revision)
        .ThenByDescending(static one => one.Peers.Values.Count(static presence => presence == NodePresence.Here))
        .FirstOrDefault();

    private async Task<TResult?> AskAsync<TRequest, TReply, TResult>(
        string address, GrpcMethod<TRequest, TReply> method, TRequest request, Func<TReply, TResult?> read, CancellationToken cancel,
        TimeSpan? patience = null)
        where TResult : class
    {
        try
        {
            GrpcChannel channel = channels.GetOrAdd(address, one => new(() => PoolOptions.Dial(security, one, WireLimits.OfClient))).Value;
            return read(await channel.UnaryAsync(method, request, new() { Timeout = patience ?? s_patience }, cancel).ConfigureAwait(false));
        }
        catch (Exception e) when (e is GrpcException or InvalidDataException)
        {
            return null;
        }
    }
}
