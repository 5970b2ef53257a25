using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using KvFs.Grpc.Wire;

namespace KvFs.Grpc;

/// <summary>The messages that come over one call, in order.</summary>
/// <remarks>For one reader at a time. <c>while (await WaitToReadAsync) { while (TryRead) … }</c> takes all that has arrived
/// in one go. The peer may send on only as this side reads: HTTP/2 gives back its window when
/// <see cref="WaitToReadAsync"/> has to fetch more.</remarks>
public sealed class MessageReader<T>
{
    private const int Unknown = -1;

    private readonly PipeReader input;
    private readonly Marshaller<T> marshaller;
    private readonly int maxBytes;
    private readonly bool gzip;
    private readonly Func<IOException, Exception>? translate;
    private ReadOnlySequence<byte> held;
    private bool holds;
    private bool ended;
    private bool compressed;
    private int length = Unknown;

    internal MessageReader(
        PipeReader input, Marshaller<T> marshaller, int maxBytes, bool gzip, Func<IOException, Exception>? translate = null)
    {
        this.translate = translate;
        this.input = input;
        this.marshaller = marshaller;
        this.maxBytes = maxBytes;
        this.gzip = gzip;
    }

    /// <summary>Waits for a message. False when the peer has sent its last one.</summary>
    /// <exception cref="GrpcException">What arrived is no message, or too long a one.</exception>
    public ValueTask<bool> WaitToReadAsync(CancellationToken cancellation) =>
        HoldsMessage ? new ValueTask<bool>(true) : FetchAsync(cancellation);

    /// <summary>Takes a message if a whole one is here already.</summary>
    /// <exception cref="GrpcException">What arrived is no message, or too long a one.</exception>
    public bool TryRead(out T message)
    {
        message = default!;
        if (!HoldsMessage) { return false; }
        ReadOnlySequence<byte> bytes = held.Slice(MessageFrame.PrefixBytes, length);
        message = Decode(bytes);
        held = held.Slice(bytes.End);
        length = Unknown;
        return true;
    }

    /// <summary>All messages up to the last.</summary>
    public async IAsyncEnumerable<T> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        while (await WaitToReadAsync(cancellation).ConfigureAwait(false))
        {
            while (TryRead(out T message)) { yield return message; }
        }
    }

    /// <summary>The only message of a call that has exactly one.</summary>
    /// <exception cref="GrpcException">UNIMPLEMENTED: there are none or more (doc/statuscodes.md, "cardinality").</exception>
    internal async ValueTask<T> ReadOnlyOneAsync(CancellationToken cancellation)
    {
        if (!await WaitToReadAsync(cancellation).ConfigureAwait(false) || !TryRead(out T message))
        {
            throw new GrpcException(GrpcStatusCode.Unimplemented, "the call has no message where one is due");
        }
        if (await WaitToReadAsync(cancellation).ConfigureAwait(false))
        {
            throw new GrpcException(GrpcStatusCode.Unimplemented, "the call has several messages where one is due");
        }
        return message;
    }

    private async ValueTask<bool> FetchAsync(CancellationToken cancellation)
    {
        while (!HoldsMessage)
        {
            if (ended)
            {
                if (held.IsEmpty) { return false; }
                throw new GrpcException(GrpcStatusCode.Internal, "the stream ended within a message");
            }
            if (holds)
            {
                // Examined to its end: the next read returns only when there is more, and the peer's window opens again.
                input.AdvanceTo(held.Start, held.End);
                holds = false;
            }
            ReadResult result = await ReadInputAsync(cancellation).ConfigureAwait(false);
            held = result.Buffer;
            holds = true;
            ended = result.IsCompleted;
            if (result.IsCanceled) { throw new OperationCanceledException("reading was cancelled"); }
        }
        return true;
    }

    private async ValueTask<ReadResult> ReadInputAsync(CancellationToken cancellation)
    {
        try
        {
            return await input.ReadAsync(cancellation).ConfigureAwait(false);
        }
        catch (IOException e) when (translate is not null)
        {
            throw translate(e);
        }
    }

    /// <summary>Whether a whole message is here already.</summary>
    internal bool HoldsMessage
    {
        get
        {
            if (length == Unknown)
            {
                if (!MessageFrame.TryReadPrefix(held, maxBytes, out compressed, out int stated)) { return false; }
                length = stated;
            }
            return held.Length - MessageFrame.PrefixBytes >= length;
        }
    }

    private T Decode(in ReadOnlySequence<byte> bytes)
    {
        try
        {
            if (!compressed) { return marshaller.Read(bytes); }
            if (!gzip)
            {
                throw new GrpcException(GrpcStatusCode.Internal, "a message is compressed, but the call names no grpc-encoding");
            }
            return marshaller.Read(GzipCoding.Expand(bytes, maxBytes));
        }
        catch (InvalidDataException e)
        {
            throw new GrpcException(new GrpcStatus(GrpcStatusCode.Internal, "a message cannot be parsed"), [], e);
        }
    }
}
