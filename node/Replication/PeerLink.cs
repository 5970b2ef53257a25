using System.Threading.Channels;
using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>The stream to one other node: dials, says who is here, sends what is given, and dials again when it breaks.</summary>
/// <remarks>Thread safe. Messages that were given while there is no stream, or are left when one breaks, are lost: whoever needs
/// them sends them again, and old ones help nobody.</remarks>
internal sealed partial class PeerLink : IAsyncDisposable
{
    /// <summary>Bytes that are written together.</summary>
    private const int MaxUnflushedBytes = 1 << 20;

    /// <summary>Bytes that may wait: beyond, messages are lost.</summary>
    private const long MaxWaitingBytes = 64 << 20;

    /// <summary>A dial and the other's Hello take no longer, or the next one is tried.</summary>
    private static readonly TimeSpan s_dialTime = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMilliseconds(500);

    private readonly Func<GrpcChannel> dial;
    private readonly V1.Hello hello;
    private readonly NodeId peer;
    private readonly ILogger logger;
    private readonly CancellationTokenSource stop = new();
    private readonly Channel<V1.PeerMessage> waiting = Channel.CreateUnbounded<V1.PeerMessage>(new() { SingleReader = true });
    private readonly Task running;
    private long waitingBytes;
    private volatile bool isOpen;
    private volatile DirectStream? direct;
    private long directNumber;
    private string? trouble;

    public PeerLink(NodeId peer, Func<GrpcChannel> dial, V1.Hello hello, ILogger logger)
    {
        this.peer = peer;
        this.dial = dial;
        this.hello = hello;
        this.logger = logger;
        running = Task.Run(RunAsync);
    }

    /// <summary>Names the direct stream that there is now; 0: there is none.</summary>
    public long DirectNumber => direct is null ? 0 : Interlocked.Read(ref directNumber);

    public long WaitingBytes => direct is { } way ? way.WaitingBytes : Interlocked.Read(ref waitingBytes);

    /// <param name="message">What to say.</param>
    /// <param name="attached">What goes with it: over a direct stream only, without one all of it is lost.</param>
    /// <returns>False: it is lost.</returns>
    public bool TrySend(V1.PeerMessage message, ReadOnlySpan<byte> attached = default)
    {
        if (!isOpen || WaitingBytes > MaxWaitingBytes) { return false; }
        if (direct is { } way)
        {
            way.Send(ReplicationMethods.Connect.Requests, message, attached);
            return true;
        }

        if (!attached.IsEmpty) { return false; }

        Interlocked.Add(ref waitingBytes, message.CalculateSize());
        return waiting.Writer.TryWrite(message);
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        waiting.Writer.TryComplete();
        await running;
        stop.Dispose();
    }

    private async Task RunAsync()
    {
        TimeSpan pause = s_firstPause;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using GrpcChannel channel = dial();
                if (await ConnectAsync(channel)) { pause = s_firstPause; }
            }
#pragma warning disable CA1031 // Whatever it is, an address that cannot be dialled or the peer's affair: it is told and tried again.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Tell(e);
            }
            finally
            {
                isOpen = false;
                Drop();
            }

            await Task.Delay(pause, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause;
        }
    }

    /// <returns>Whether the other side was there.</returns>
    private async Task<bool> ConnectAsync(GrpcChannel channel)
    {
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
        using GrpcCall<V1.PeerMessage, V1.PeerMessage> call = channel.Start(ReplicationMethods.Connect, GrpcCallOptions.None, ending.Token);
        ending.CancelAfter(s_dialTime);
        await call.Requests!.WriteAsync(new() { Hello = hello }, ending.Token);
        if (!await call.WaitToReadAsync() || !call.TryRead(out V1.PeerMessage answer) || answer.Hello is not { } other) { return false; }
        if (other.Node != peer.Value)
        {
            throw new InvalidDataException($"at the address of node {peer} there is node {other.Node}");
        }

        ending.CancelAfter(Timeout.InfiniteTimeSpan);
        using DirectStream? way = await TryConnectAsync(channel, other, ending);
        Interlocked.Increment(ref directNumber);
        direct = way;
        isOpen = true;
        trouble = null;
        LogConnected(logger, peer);
        Task reading = ReadToEndAsync(call, ending);
        try
        {
            await WriteAsync(call.Requests!, ending.Token);
        }
        finally
        {
            isOpen = false;
            direct = null;
            await ending.CancelAsync();
            await reading;
        }

        return true;
    }

    /// <summary>Takes the quicker way that the other side offers, if there is one. It ends with the stream, and the stream with it.</summary>
    private static async Task<DirectStream?> TryConnectAsync(GrpcChannel channel, V1.Hello other, CancellationTokenSource ending)
    {
        if (other.Direct is not { } offer) { return null; }
        DirectStream? way = await DirectDial.TryConnectAsync(channel.Target, offer.ToCore(), WireDirect.MessageBytes, ending.Token);
        way?.Start(
            "kvfs-peer",
            ReplicationMethods.Connect.Responses,
            long.MaxValue,
            static (_, attached) => attached?.Dispose(),
            _ => ending.CancelIfAlive());
        return way;
    }

    private async Task WriteAsync(MessageWriter<V1.PeerMessage> writer, CancellationToken cancellation)
    {
        while (await waiting.Reader.WaitToReadAsync(cancellation))
        {
            while (writer.UnflushedBytes < MaxUnflushedBytes && waiting.Reader.TryRead(out V1.PeerMessage? next))
            {
                Interlocked.Add(ref waitingBytes, -next.CalculateSize());
                writer.Write(next);
            }

            if (!await writer.FlushAsync(cancellation)) { return; }
        }
    }

    /// <summary>The other side says nothing behind its Hello: what ends here is the stream.</summary>
    private static async Task ReadToEndAsync(GrpcCall<V1.PeerMessage, V1.PeerMessage> call, CancellationTokenSource ending)
    {
        try
        {
            while (await call.WaitToReadAsync())
            {
                while (call.TryRead(out _)) { }
            }
        }
        catch (Exception e) when (e is GrpcException or OperationCanceledException)
        {
            // The writer ends, too, and the next dial says what is wrong.
        }

        await ending.CancelAsync();
    }

    private void Drop()
    {
        while (waiting.Reader.TryRead(out V1.PeerMessage? lost)) { Interlocked.Add(ref waitingBytes, -lost.CalculateSize()); }
    }

    private void Tell(Exception e)
    {
        if (stop.IsCancellationRequested || e.Message == trouble) { return; }
        trouble = e.Message;
        LogUnreachable(logger, peer, e.Message);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Connected to node {Peer}.")]
    private static partial void LogConnected(ILogger logger, NodeId peer);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Node {Peer} cannot be reached: {Why}. Trying on.")]
    private static partial void LogUnreachable(ILogger logger, NodeId peer, string why);
}
