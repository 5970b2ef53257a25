using System.Buffers;
using System.IO.Pipelines;
using KvFs.Grpc.Wire;

namespace KvFs.Grpc;

/// <summary>The messages that go out over one call, in order.</summary>
/// <remarks>For one writer at a time. Messages are written straight into the connection's buffers; nothing is allocated for
/// them. Any number may be written before one flush: small messages then share a packet and a system call.</remarks>
public sealed class MessageWriter<T>
{
    private readonly PipeWriter output;
    private readonly Marshaller<T> marshaller;
    private readonly int maxBytes;
    private readonly bool gzip;
    private readonly IMessageSink sink;

    internal MessageWriter(PipeWriter output, Marshaller<T> marshaller, int maxBytes, bool gzip, IMessageSink sink)
    {
        this.output = output;
        this.marshaller = marshaller;
        this.maxBytes = maxBytes;
        this.gzip = gzip;
        this.sink = sink;
    }

    /// <summary>Bytes written and not yet flushed. Who writes much without a flush holds much memory.</summary>
    public long UnflushedBytes => output.CanGetUnflushedBytes ? output.UnflushedBytes : 0;

    /// <summary>Writes a message into the buffer; it leaves with the next flush, or with the end of the call.</summary>
    /// <exception cref="GrpcException">RESOURCE_EXHAUSTED: the message is longer than allowed. Nothing was written.</exception>
    public void Write(T message)
    {
        int size = marshaller.Size(message);
        if (size > maxBytes) { throw MessageFrame.TooLarge(size, maxBytes, "sent"); }
        sink.BeforeWrite();
        if (gzip && size > 0)
        {
            WriteCompressed(message, size);
            return;
        }
        MessageFrame.WritePrefix(output.GetSpan(MessageFrame.PrefixBytes), compressed: false, size);
        output.Advance(MessageFrame.PrefixBytes);
        marshaller.Write(message, output);
    }

    /// <summary>Sends what was written, and waits while the peer reads more slowly than this side writes.</summary>
    /// <returns>False when the peer takes no more: the call is over, and the other direction says how.</returns>
    public ValueTask<bool> FlushAsync(CancellationToken cancellation) => sink.FlushAsync(cancellation);

    /// <summary>Writes and flushes.</summary>
    /// <returns>See <see cref="FlushAsync"/>.</returns>
    public ValueTask<bool> WriteAsync(T message, CancellationToken cancellation)
    {
        Write(message);
        return FlushAsync(cancellation);
    }

    private void WriteCompressed(T message, int size)
    {
        ArrayBufferWriter<byte> plain = new(Math.Max(size, 1));
        marshaller.Write(message, plain);
        byte[] packed = GzipCoding.Compress(plain.WrittenSpan);
        MessageFrame.WritePrefix(output.GetSpan(MessageFrame.PrefixBytes), compressed: true, packed.Length);
        output.Advance(MessageFrame.PrefixBytes);
        output.Write(packed);
    }
}

/// <summary>What a call does around the messages that its writer puts into the buffers.</summary>
internal interface IMessageSink
{
    /// <summary>Called before the first byte of each message.</summary>
    void BeforeWrite();

    /// <summary>Sends what is in the buffers. False when the peer takes no more.</summary>
    ValueTask<bool> FlushAsync(CancellationToken cancellation);
}
