using System.Collections.Immutable;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>The streams to all other nodes of the pool, as the pool map has them.</summary>
public sealed class PeerLinks : IPeerSender, IAsyncDisposable
{
    private readonly Lock gate = new();
    private readonly Func<PoolNode, GrpcChannel> dial;
    private readonly V1.Hello hello;
    private readonly NodeId self;
    private readonly ILogger logger;
    private ImmutableDictionary<NodeId, (PeerLink Link, ImmutableArray<string> Addresses)> links =
        ImmutableDictionary<NodeId, (PeerLink, ImmutableArray<string>)>.Empty;

    private bool isStopped;

    /// <param name="pool">Whose nodes.</param>
    /// <param name="process">This node.</param>
    /// <param name="dial">Makes a channel to a node: knows addresses and certificates.</param>
    /// <param name="logger">Says who can be reached.</param>
    public PeerLinks(PoolId pool, InSyncReplica process, Func<PoolNode, GrpcChannel> dial, ILogger logger)
    {
        this.dial = dial;
        this.logger = logger;
        self = process.Node;
        hello = PeerHello.Of(pool, process);
    }

    public void Send(NodeId to, V1.PeerMessage message)
    {
        if (Volatile.Read(ref links).TryGetValue(to, out (PeerLink Link, ImmutableArray<string>) found)) { found.Link.TrySend(message); }
    }

    /// <summary>Sends a block, as <see cref="PeerLink.TrySend"/> does: it is the caller's again when this returns.</summary>
    internal bool TrySend(NodeId to, V1.StoreBlock block, ReadOnlySpan<byte> content) =>
        Volatile.Read(ref links).TryGetValue(to, out (PeerLink Link, ImmutableArray<string>) found)
        && found.Link.TrySend(new() { StoreBlock = block }, content);

    /// <summary>Names the direct stream to a node that there is now: what was sent on another one may be lost. 0: there is none.</summary>
    internal long DirectNumber(NodeId to) =>
        Volatile.Read(ref links).TryGetValue(to, out (PeerLink Link, ImmutableArray<string>) found) ? found.Link.DirectNumber : 0;

    public long WaitingBytes(NodeId to) =>
        Volatile.Read(ref links).TryGetValue(to, out (PeerLink Link, ImmutableArray<string>) found) ? found.Link.WaitingBytes : 0;

    /// <summary>Opens streams to nodes that are new or have moved, and ends those to nodes that are gone.</summary>
    public async Task FollowAsync(PoolMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        List<PeerLink> ended = [];
        lock (gate)
        {
            if (isStopped) { return; }
            ImmutableDictionary<NodeId, (PeerLink Link, ImmutableArray<string> Addresses)>.Builder next = links.ToBuilder();
            foreach (NodeId known in links.Keys)
            {
                PoolNode? node = map.Find(known);
                if (node is { State: not NodeState.Gone } && node.Addresses.SequenceEqual(links[known].Addresses)) { continue; }
                ended.Add(links[known].Link);
                next.Remove(known);
            }

            foreach (PoolNode node in map.Nodes)
            {
                if (node.Id == self || node.State == NodeState.Gone || next.ContainsKey(node.Id)) { continue; }
                next.Add(node.Id, (new(node.Id, () => dial(node), hello, logger), node.Addresses));
            }

            Volatile.Write(ref links, next.ToImmutable());
        }

        foreach (PeerLink link in ended) { await link.DisposeAsync(); }
    }

    public async ValueTask DisposeAsync()
    {
        lock (gate) { isStopped = true; }
        foreach ((PeerLink link, _) in links.Values) { await link.DisposeAsync(); }
    }
}

/// <summary>Who is at an end of a stream.</summary>
internal static class PeerHello
{
    public static V1.Hello Of(PoolId pool, InSyncReplica process)
    {
        byte[] poolBytes = new byte[PoolId.Size];
        pool.Write(poolBytes);
        byte[] disk = new byte[DiskId.Size];
        process.Disk.Write(disk);
        byte[] boot = new byte[BootId.Size];
        process.Boot.Write(boot);
        return new()
        {
            Pool = ByteString.CopyFrom(poolBytes),
            Node = process.Node.Value,
            Disk = ByteString.CopyFrom(disk),
            Boot = ByteString.CopyFrom(boot),
        };
    }

    /// <summary>Reads what another node says of itself.</summary>
    /// <exception cref="InvalidDataException">It makes no sense.</exception>
    public static (PoolId Pool, InSyncReplica Process) Read(V1.Hello hello)
    {
        if (hello.Pool.Length != PoolId.Size || hello.Disk.Length != DiskId.Size || hello.Boot.Length != BootId.Size || hello.Node == 0)
        {
            throw new InvalidDataException("a Hello that does not say who is there");
        }

        return (
            PoolId.Read(hello.Pool.Span),
            new(new(hello.Node), DiskId.Read(hello.Disk.Span), BootId.Read(hello.Boot.Span)));
    }
}
