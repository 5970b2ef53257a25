using System.Buffers;
using System.Net;
using KvFs.Grpc.Wire;

namespace KvFs.Grpc.Client;

/// <summary>The body of a call with one request: the framed message in a rented buffer.</summary>
internal sealed class SingleContent : HttpContent
{
    private readonly FrameBuffer buffer;

    private SingleContent(FrameBuffer buffer) => this.buffer = buffer;

    /// <exception cref="GrpcException">RESOURCE_EXHAUSTED: the message is longer than allowed.</exception>
    public static SingleContent Of<T>(Marshaller<T> marshaller, T message, int maxBytes, bool gzip)
    {
        int size = marshaller.Size(message);
        if (size > maxBytes) { throw MessageFrame.TooLarge(size, maxBytes, "sent"); }
        FrameBuffer buffer = new(MessageFrame.PrefixBytes + size);
        Span<byte> prefix = buffer.GetSpan(MessageFrame.PrefixBytes);
        buffer.Advance(MessageFrame.PrefixBytes);
        marshaller.Write(message, buffer);
        bool compressed = gzip && size > 0;
        if (compressed)
        {
            byte[] packed = GzipCoding.Compress(buffer.Written.Span[MessageFrame.PrefixBytes..]);
            buffer.Free();
            buffer = new FrameBuffer(MessageFrame.PrefixBytes + packed.Length);
            prefix = buffer.GetSpan(MessageFrame.PrefixBytes);
            buffer.Advance(MessageFrame.PrefixBytes);
            buffer.Write(packed);
            size = packed.Length;
        }
        MessageFrame.WritePrefix(prefix, compressed, size);
        return new SingleContent(buffer);
    }

    /// <summary>Gives the buffer back if it was sent to its end. Else a write may still be under way: then the buffer is
    /// left to the garbage collector.</summary>
    public void Release()
    {
        if (IsSent) { buffer.Free(); }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        IsSent = false;  // The handler asks again when the first connection turned out to be closed.
        await stream.WriteAsync(buffer.Written, cancellationToken).ConfigureAwait(false);
        IsSent = true;
    }

    /// <summary>No length is stated, as other gRPC libraries have it.</summary>
    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    private bool IsSent { get; set; }
}

/// <summary>A rented array that a marshaller writes a message of a known size into.</summary>
internal sealed class FrameBuffer(int capacity) : IBufferWriter<byte>
{
    private byte[] rented = ArrayPool<byte>.Shared.Rent(capacity);
    private int length;

    public ReadOnlyMemory<byte> Written => rented.AsMemory(0, length);

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, capacity - length);
        length += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Fit(sizeHint);
        return rented.AsMemory(length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Fit(sizeHint);
        return rented.AsSpan(length);
    }

    public void Free()
    {
        byte[] freed = rented;
        rented = [];
        length = 0;
        if (freed.Length > 0) { ArrayPool<byte>.Shared.Return(freed); }
    }

    /// <summary>Marshallers may ask for more room than they use.</summary>
    private void Fit(int sizeHint)
    {
        int needed = length + Math.Max(sizeHint, 1);
        if (needed <= rented.Length) { return; }
        byte[] larger = ArrayPool<byte>.Shared.Rent(needed);
        rented.AsSpan(0, length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(rented);
        rented = larger;
    }
}
