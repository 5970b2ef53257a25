using KvFs.Core;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>One end of a connection after the hellos: takes frames apart, and ends the connection in order.</summary>
/// <remarks>
/// How it ends: <see cref="Leave"/> (in order, or because the peer broke the rules) sends a goodbye behind what waits, throws
/// away what still comes until the peer ends too, at most <see cref="LingerTime"/> long (else the kernel would throw the
/// goodbye away), and then closes. <see cref="Cut"/> closes at once. The first reason counts.
/// </remarks>
internal abstract class FrameConnection
{
    /// <summary>What a peer has for reading the goodbye and ending its side.</summary>
    private static readonly TimeSpan LingerTime = TimeSpan.FromSeconds(2);

    private readonly Transport transport;
    private readonly TimeProvider clock;
    private readonly int takenPayloadBytes;
    private readonly FrameReceiver receiver;
    private readonly PieceCheck check = new();
    private ITimer? linger;
    private ChannelEnd? end;

    /// <param name="transport">Owned from now on.</param>
    /// <param name="receiver">Has received the peer's hello, and perhaps more.</param>
    /// <param name="clock">Measures silence.</param>
    /// <param name="takenPayloadBytes">The largest payload of a frame, as the peer was told.</param>
    protected FrameConnection(Transport transport, FrameReceiver receiver, TimeProvider clock, int takenPayloadBytes)
    {
        this.transport = transport;
        this.receiver = receiver;
        this.clock = clock;
        this.takenPayloadBytes = takenPayloadBytes;
        Sender = new(transport, clock, e => Cut(EndOf(e, "while it was sent to")));
    }

    /// <summary>Why the connection ended or is ending; null while it is not.</summary>
    public ChannelEnd? End => Volatile.Read(ref end);

    /// <summary>How long ago the peer was last heard of.</summary>
    public TimeSpan Silence => receiver.Silence;

    protected FrameSender Sender { get; }

    protected TimeProvider Clock => clock;

    /// <summary>Serves the connection until it is closed, and no memory of anybody is used. Never fails. Call it once.</summary>
    public async Task RunAsync()
    {
        try
        {
            string? violation = await ReceiveAsync().ConfigureAwait(false);
            Leave(violation is null
                ? new(Status.Unavailable, "the peer ended the connection")
                : new(Status.Invalid, violation));
            if (violation is not null) { await receiver.DiscardAllAsync().ConfigureAwait(false); }
        }
#pragma warning disable CA1031 // Whatever it is, it ends the connection, and reaches who waits for requests, and End.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Cut(EndOf(e, "while it was received from"));
        }

        OnReceiverEnded();
        await Sender.CloseAsync().ConfigureAwait(false);
        await CloseAsync().ConfigureAwait(false);
        if (linger is not null) { await linger.DisposeAsync().ConfigureAwait(false); }
    }

    /// <summary>Ends the connection at once.</summary>
    public void Cut(ChannelEnd reason)
    {
        if (Ends(reason)) { OnEnding(reason); }
        transport.Abort();
    }

    /// <summary>Ends the connection with a goodbye behind what waits to be sent.</summary>
    protected void Leave(ChannelEnd reason)
    {
        if (!Ends(reason)) { return; }
        OnEnding(reason);
        linger = clock.CreateTimer(
            static transport => ((Transport)transport!).Abort(), transport, LingerTime, Timeout.InfiniteTimeSpan);
        Sender.SendLast(new Goodbye(reason));
    }

    /// <summary>A frame's head has come, and is intact.</summary>
    /// <param name="header">Its header.</param>
    /// <param name="head">All of it, header too.</param>
    /// <param name="expected">Takes the checksums of the payload, if it has any.</param>
    /// <param name="payload">Where the payload goes.</param>
    /// <returns>Null, or which rule the peer broke.</returns>
    protected abstract string? OnHead(
        in FrameHeader header, ReadOnlySpan<byte> head, Span<uint> expected, ref PayloadPlace payload);

    /// <summary>The payload of the last head has come, if it had one that was not thrown away.</summary>
    /// <param name="isIntact">Whether it has its checksums.</param>
    /// <returns>Null, or which rule the peer broke.</returns>
    protected abstract string? OnPayload(bool isIntact);

    /// <summary>The connection begins to end: nothing new is to be sent. Called once, without a lock held.</summary>
    protected abstract void OnEnding(ChannelEnd reason);

    /// <summary>Nothing is received any more.</summary>
    protected abstract void OnReceiverEnded();

    private async ValueTask CloseAsync()
    {
        try
        {
            await transport.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (Transport.IsBroken(e))
        {
            // TLS would have liked to say goodbye.
        }
    }

    private static ChannelEnd EndOf(Exception e, string when) => e switch
    {
        EndOfStreamException => new(Status.Unavailable, "the peer ended the connection in the middle of a frame"),
        _ when Transport.IsBroken(e) => new(Status.Unavailable, $"the connection broke {when} the peer: {e.Message}"),
        _ => new(Status.Unknown, $"a bug here, {when} the peer: {e}"),
    };

    private bool Ends(ChannelEnd reason) => Interlocked.CompareExchange(ref end, reason, null) is null;

    /// <summary>Receives until the peer ends, or breaks a rule: then answers which.</summary>
    private async Task<string?> ReceiveAsync()
    {
        while (await receiver.FillAsync(FrameHeader.Size).ConfigureAwait(false))
        {
            if (End is not null)
            {
                await receiver.DiscardAllAsync().ConfigureAwait(false);
                return null;
            }

            string? wrong = FrameHeader.Read(receiver.Received, takenPayloadBytes, out FrameHeader header);
            if (wrong is not null) { return wrong; }
            await receiver.FillAsync(header.HeadBytes).ConfigureAwait(false);
            PayloadPlace payload = default;
            wrong = TakeHead(header, ref payload);
            if (wrong is not null) { return wrong; }
            if (header.PayloadBytes == 0) { continue; }
            if (payload.Bytes.IsEmpty)
            {
                await receiver.DiscardAsync(header.PayloadBytes).ConfigureAwait(false);
                continue;
            }

            check.Start(payload.Offset, header.PayloadBytes);
            await receiver.ReceivePayloadAsync(payload.Bytes, check).ConfigureAwait(false);
            wrong = OnPayload(check.IsIntact);
            if (wrong is not null) { return wrong; }
        }

        return null;
    }

    private string? TakeHead(in FrameHeader header, ref PayloadPlace payload)
    {
        ReadOnlySpan<byte> head = receiver.Received[..header.HeadBytes];
        if (!FrameHeader.IsIntact(head)) { return "a frame's head does not have its checksum"; }
        string? wrong = OnHead(header, head, check.Expected, ref payload);
        receiver.Take(header.HeadBytes);
        return wrong;
    }

    /// <summary>Where a payload goes.</summary>
    /// <param name="Bytes">As long as the payload; empty: it is thrown away, and not compared.</param>
    /// <param name="Offset">Its first byte, in the block.</param>
    protected readonly record struct PayloadPlace(Memory<byte> Bytes, uint Offset);

    private sealed class Goodbye(ChannelEnd reason) : Outgoing
    {
        internal override bool IsUrgent => false;

        internal override int PutFrame(Span<byte> head, out ReadOnlyMemory<byte> payload)
        {
            payload = default;
            return ByeFrame.Put(reason.Status, reason.Reason, head);
        }

        internal override bool OnSent() => false;

        internal override void OnDropped()
        {
        }
    }
}
