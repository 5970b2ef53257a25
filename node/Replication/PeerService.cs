using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>The service of replication.proto: hears what other nodes say.</summary>
/// <param name="pool">This node's pool.</param>
/// <param name="driver">Is told.</param>
/// <param name="findDisk">The disk that the pool map has for a node; null: it knows no such node.</param>
/// <param name="blocks">Is told of blocks; null: nobody sends any.</param>
/// <param name="direct">Where others may connect directly; null: they do with gRPC.</param>
/// <param name="logger">Says who came, and who was refused.</param>
public sealed partial class PeerService(PoolId pool, ReplicationDriver driver, Func<NodeId, DiskId?> findDisk, IBlockMessages? blocks, DirectListener? direct, ILogger logger)
{
    public void AddTo(GrpcServices services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.Duplex(ReplicationMethods.Connect, ConnectAsync);
    }

    private async ValueTask ConnectAsync(
        MessageReader<V1.PeerMessage> reader, MessageWriter<V1.PeerMessage> writer, ServerCall call)
    {
        if (!await reader.WaitToReadAsync(call.Cancellation) || !reader.TryRead(out V1.PeerMessage first) || first.Hello is null)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, "a node says first who it is");
        }

        using PeerConversation conversation = new(Admit(first.Hello), driver, blocks);
        V1.Hello hello = PeerHello.Of(pool, driver.Process);
        PeerWay way = new(conversation, logger);
        if (call.Peer is not null) { hello.Direct = way.Offer(direct); }
        try
        {
            await writer.WriteAsync(new() { Hello = hello }, call.Cancellation);
            using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(call.Cancellation, way.Ended);
            while (await reader.WaitToReadAsync(over.Token))
            {
                while (reader.TryRead(out V1.PeerMessage message))
                {
                    if (way.TryTell(message) is { } nonsense) { throw new GrpcException(GrpcStatusCode.InvalidArgument, nonsense); }
                }
            }
        }
        catch (OperationCanceledException) when (way.Ended.IsCancellationRequested)
        {
            // The other node stopped, or opens both ways anew.
        }
        finally
        {
            await way.DisposeAsync();
        }
    }

    private InSyncReplica Admit(V1.Hello hello)
    {
        PoolId theirs;
        InSyncReplica peer;
        try
        {
            (theirs, peer) = PeerHello.Read(hello);
        }
        catch (InvalidDataException e)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, e.Message);
        }

        string? why = theirs != pool ? $"this is a node of pool {pool}, not of {theirs}"
            : findDisk(peer.Node) is not { } disk ? $"pool {pool} has no node {peer.Node}"
            : disk != peer.Disk ? $"node {peer.Node} joined with disk {disk}, not with {peer.Disk}: with another disk it is another node"
            : null;
        if (why is null) { return peer; }
        LogRefused(logger, peer.Node, why);
        throw new GrpcException(GrpcStatusCode.FailedPrecondition, why);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused a connection of node {Peer}: {Why}.")]
    private static partial void LogRefused(ILogger logger, NodeId peer, string why);
}

/// <summary>The ways on which one node says something: its stream, and beside it perhaps a quicker one.</summary>
/// <remarks>Of both, one is used at a time: the other side begins to send when it knows which.</remarks>
internal sealed partial class PeerWay(PeerConversation conversation, ILogger logger) : IAsyncDisposable
{
    private readonly CancellationTokenSource ending = new();
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock gate = new();
    private DirectStream? direct;
    private bool isOver;

    /// <summary>Is cancelled when the quicker way has ended.</summary>
    public CancellationToken Ended => ending.Token;

    public V1.DirectOffer? Offer(DirectListener? listener) => listener?.Offer(way => Begin(way, listener))?.ToWire();

    /// <summary>Tells the driver what came; what was wrong with it, or null.</summary>
    public string? TryTell(V1.PeerMessage message)
    {
        try
        {
            conversation.OnMessage(message);
            return null;
        }
        catch (InvalidDataException e)
        {
            LogNonsense(logger, conversation.Peer.Node, e.Message);
            return e.Message;
        }
    }

    /// <summary>Ends when nobody tells anything any more.</summary>
    public async ValueTask DisposeAsync()
    {
        bool isWaitedFor;
        lock (gate)
        {
            isOver = true;
            isWaitedFor = direct is not null;
            direct?.Dispose();
        }

        if (isWaitedFor) { await ended.Task; }
        ending.Dispose();
    }

    private void Begin(DirectStream way, DirectListener listener)
    {
        lock (gate)
        {
            if (isOver)
            {
                way.Dispose();
                listener.OnStreamEnded();
                return;
            }

            direct = way;
        }

        way.Start(
            "kvfs-peer",
            ReplicationMethods.Connect.Requests,
            long.MaxValue,
            (message, attached) =>
            {
                message.Attach(attached);
                if (TryTell(message) is not null) { way.Dispose(); }
            },
            why =>
            {
                if (why is not null) { LogEnded(logger, conversation.Peer.Node, why); }
                listener.OnStreamEnded();
                ending.Cancel();
                ended.SetResult();
            });
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The direct stream of node {Peer} has ended: {Why}.")]
    private static partial void LogEnded(ILogger logger, NodeId peer, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Node {Peer} sent what makes no sense: {What}. Its connection is ended.")]
    private static partial void LogNonsense(ILogger logger, NodeId peer, string what);
}

/// <summary>Hears of blocks that nodes send one another on their direct streams. Returns at once.</summary>
public interface IBlockMessages
{
    /// <summary>A block to store.</summary>
    void OnStore(NodeId from, V1.StoreBlock sent);

    /// <summary>What became of one that was sent.</summary>
    void OnStored(V1.BlockStored answer);
}

/// <summary>What one node says on one stream.</summary>
internal sealed class PeerConversation(InSyncReplica peer, ReplicationDriver driver, IBlockMessages? blocks) : IDisposable
{
    private readonly Dictionary<ShardId, ReceivedSnapshot> snapshots = [];

    public InSyncReplica Peer => peer;

    /// <exception cref="InvalidDataException">It makes no sense.</exception>
    public void OnMessage(V1.PeerMessage message)
    {
        // Of a newer version, which says the same another way, too, as long as there are older ones.
        if (message.KindCase == V1.PeerMessage.KindOneofCase.None) { return; }
        if (message.SnapshotPart is { } part) { OnPart(part); }
        else if (message.StoreBlock is { } sent) { blocks?.OnStore(peer.Node, sent); }
        else if (message.BlockStored is { } stored) { blocks?.OnStored(stored); }
        else { driver.OnMessage(peer.Node, peer.Boot, message); }
    }

    public void Dispose()
    {
        foreach (ReceivedSnapshot snapshot in snapshots.Values) { snapshot.Dispose(); }
    }

    private void OnPart(V1.SnapshotPart part)
    {
        ShardId shard = WireReplication.ToShard(part.Shard);
        LogPosition at = part.At.ToCore();
        if (part.Number == 0)
        {
            if (snapshots.Remove(shard, out ReceivedSnapshot? before)) { before.Dispose(); }
            snapshots.Add(shard, new(driver.ScratchPath, new(shard, new(part.Epoch), at, part.EndedBefore.ToEndedBefore(at))));
        }

        if (!snapshots.TryGetValue(shard, out ReceivedSnapshot? snapshot) || snapshot.Message.At != at || !snapshot.TryAdd(part)) { return; }
        if (!part.IsLast) { return; }
        snapshots.Remove(shard);
        driver.OnSnapshot(peer.Node, peer.Boot, snapshot);
    }
}
