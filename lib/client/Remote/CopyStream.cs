using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>Reads of one node's copies of blocks, beside the sessions: OfferReads of block.proto.</summary>
/// <remarks>Thread safe. A node that lets a read wait is not waited for: the stream ends, and whoever waits asks the primary.</remarks>
internal sealed class CopyStream : IDisposable
{
    private readonly Lock gate = new();
    private readonly Dictionary<ulong, Waiting> waiting = [];
    private readonly DirectStream way;
    private readonly RemoteClientOptions options;
    private readonly ITimer timer;
    private ulong lastId;
    private long answeredAt;
    private bool isOver;

    private CopyStream(DirectStream way, RemoteClientOptions options)
    {
        this.way = way;
        this.options = options;
        answeredAt = options.AwakeClock.GetTimestamp();
        timer = options.AwakeClock.CreateTimer(static state => ((CopyStream)state!).Look(), this, options.LookPause, options.LookPause);
    }

    public bool IsOver
    {
        get
        {
            lock (gate) { return isOver; }
        }
    }

    /// <summary>Connects to a node. Null: it offers no such way, or it does not work.</summary>
    public static async Task<CopyStream?> TryOpenAsync(GrpcChannel channel, RemoteClientOptions options, CancellationToken cancellation)
    {
        try
        {
            V1.OfferReadsReply reply = await channel.UnaryAsync(
                BlockMethods.OfferReads, new(), new() { Limits = WireLimits.OfClient, Timeout = options.LookTime }, cancellation);
            if (reply.Direct is not { } offer) { return null; }
            DirectStream? way = await DirectDial.TryConnectAsync(channel.Target, offer.ToCore(), WireDirect.MessageBytes, cancellation);
            if (way is null) { return null; }
            CopyStream stream = new(way, options);
            way.Start("kvfs-copies", WireDirect.CopyReadReplies, long.MaxValue, stream.Take, _ => stream.Dispose());
            return stream;
        }
        catch (Exception e) when (e is GrpcException or OperationCanceledException or ObjectDisposedException)
        {
            return null;
        }
    }

    /// <summary>Reads a range of a block.</summary>
    /// <returns>Ok: the destination is full. Else its content is undefined, and the primary may answer better; Busy: the node does not
    /// answer.</returns>
    public ValueTask<Status> ReadAsync(V1.SessionKey key, BlockName block, uint offset, Memory<byte> destination)
    {
        Waiting read = new(destination, options.AwakeClock.GetTimestamp());
        ulong id;
        lock (gate)
        {
            if (isOver) { return new(Status.Busy); }
            id = ++lastId;
            waiting.Add(id, read);
        }

        way.Send(WireDirect.CopyReads, new()
        {
            Id = id,
            Key = key,
            Block = new() { Owner = block.Owner.ToWire(), Id = block.Id.Value },
            Offset = offset,
            Length = (uint)destination.Length,
        });
        return new(read.Answer.Task);
    }

    /// <summary>Ends it: what waits is Busy.</summary>
    public void Dispose()
    {
        List<Waiting> left;
        lock (gate)
        {
            if (isOver) { return; }
            isOver = true;
            left = [.. waiting.Values];
            waiting.Clear();
        }

        timer.Dispose();
        way.Dispose();
        foreach (Waiting read in left) { EndElsewhere(read); }
    }

    private void Take(V1.CopyReadReply reply, AttachedBytes? attached)
    {
        reply.Attach(attached);
        Waiting? read;
        lock (gate)
        {
            waiting.Remove(reply.Id, out read);
            answeredAt = options.AwakeClock.GetTimestamp();
        }

        Status status = read is null ? Status.Ok : Copy(reply, read.Destination.Span);
        reply.Lent?.Dispose();

        // Whoever waits goes on with this thread: to hand it over costs more than most have left to do.
        read?.Answer.SetResult(status);
    }

    private static Status Copy(V1.CopyReadReply reply, Span<byte> destination) =>
        reply.Status == V1.Status.Ok ? reply.Range.CopyTo(destination) : reply.Status.ToCore();

    /// <summary>Ends the stream when its node lets reads wait and answers none.</summary>
    private void Look()
    {
        bool isStuck;
        lock (gate)
        {
            isStuck = options.AwakeClock.GetElapsedTime(answeredAt) > options.Patience
                && waiting.Values.Any(read => options.AwakeClock.GetElapsedTime(read.Since) > options.Patience);
        }

        if (isStuck) { Dispose(); }
    }

    private static void EndElsewhere(Waiting read) => ThreadPool.UnsafeQueueUserWorkItem(
        static ended => ended.Answer.SetResult(Status.Busy), read, preferLocal: false);

    private sealed record Waiting(Memory<byte> Destination, long Since)
    {
        public TaskCompletionSource<Status> Answer { get; } = new();
    }
}
