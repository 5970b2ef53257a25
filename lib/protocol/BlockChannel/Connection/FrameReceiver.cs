using System.Runtime.CompilerServices;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>Reads the frames of a connection: heads through a buffer, payloads to where they belong.</summary>
/// <remarks>One reader. What of a payload came with its head is copied, at most the buffer; the rest is received in place.
/// </remarks>
internal sealed class FrameReceiver(Transport transport, TimeProvider clock)
{
    /// <summary>Bytes of the buffer: many small frames in one call.</summary>
    private const int BufferBytes = 64 << 10;

    private readonly byte[] buffer = GC.AllocateUninitializedArray<byte>(BufferBytes, pinned: true);
    private int start;
    private int end;
    private long heardAt = clock.GetTimestamp();

    /// <summary>How long ago the peer was last heard of.</summary>
    public TimeSpan Silence => clock.GetElapsedTime(Volatile.Read(ref heardAt));

    /// <summary>What was received and not taken yet.</summary>
    public ReadOnlySpan<byte> Received => buffer.AsSpan(start, end - start);

    /// <summary>Waits until so many bytes are in <see cref="Received"/>.</summary>
    /// <returns>False: the peer ended before the first of them.</returns>
    /// <exception cref="EndOfStreamException">The peer ended in the middle of them.</exception>
    public ValueTask<bool> FillAsync(int bytes) => end - start >= bytes ? new(true) : ReceiveAsync(bytes);

    /// <summary>Takes bytes out of <see cref="Received"/>.</summary>
    public void Take(int bytes) => start += bytes;

    /// <summary>Receives a payload.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="check">Sees all bytes.</param>
    /// <exception cref="EndOfStreamException">The peer ended in the middle.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ReceivePayloadAsync(Memory<byte> destination, PieceCheck check)
    {
        int here = Math.Min(destination.Length, end - start);
        buffer.AsSpan(start, here).CopyTo(destination.Span);
        check.Append(buffer.AsSpan(start, here));
        start += here;
        destination = destination[here..];
        while (!destination.IsEmpty)
        {
            int received = await ReceiveAsync(destination).ConfigureAwait(false);
            check.Append(destination.Span[..received]);
            destination = destination[received..];
        }
    }

    /// <summary>Receives a payload that nobody wants.</summary>
    /// <exception cref="EndOfStreamException">The peer ended in the middle.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask DiscardAsync(int bytes)
    {
        while (true)
        {
            int here = Math.Min(bytes, end - start);
            start += here;
            bytes -= here;
            if (bytes == 0) { return; }
            start = 0;
            end = 0;
            end = await ReceiveAsync(buffer).ConfigureAwait(false);
        }
    }

    /// <summary>Throws away what comes until the peer sends no more.</summary>
    public async ValueTask DiscardAllAsync()
    {
        while (await transport.ReceiveAsync(buffer).ConfigureAwait(false) > 0)
        {
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ReceiveAsync(int bytes)
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            end -= start;
            start = 0;
        }

        while (end < bytes)
        {
            int received = await transport.ReceiveAsync(buffer.AsMemory(end)).ConfigureAwait(false);
            if (received == 0) { return end == 0 ? false : throw new EndOfStreamException(); }
            end += received;
            Volatile.Write(ref heardAt, clock.GetTimestamp());
        }

        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReceiveAsync(Memory<byte> destination)
    {
        int received = await transport.ReceiveAsync(destination).ConfigureAwait(false);
        if (received == 0) { throw new EndOfStreamException(); }
        Volatile.Write(ref heardAt, clock.GetTimestamp());
        return received;
    }
}
