using System.Net;

namespace KvFs.Grpc.Client;

/// <summary>The body of a call whose requests come one by one: as a stream that its writer can use from the start, and that
/// waits for the connection with its first byte.</summary>
internal sealed class RequestStreamContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int opens;

    public RequestStreamContent() => Body = new BodyStream(opened.Task);

    public Stream Body { get; }

    /// <summary>No more requests.</summary>
    public void Finish() => finished.TrySetResult();

    /// <summary>There is, or will be, no connection to write to.</summary>
    public void Fail(Exception failure)
    {
        if (opened.TrySetException(failure)) { _ = opened.Task.Exception; }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref opens) > 1) { throw new IOException("The connection broke, and a stream cannot be sent again."); }
        // The headers wait in the handler's buffer for the body's first flush, which may be a long time off.
        await stream.FlushAsync(cancellationToken).ConfigureAwait(false);
        opened.TrySetResult(stream);
        await finished.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    private sealed class BodyStream(Task<Stream> opened) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Stream stream = await opened.WaitAsync(cancellationToken).ConfigureAwait(false);
            await stream.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
        }

        public override async Task FlushAsync(CancellationToken cancellationToken)
        {
            Stream stream = await opened.WaitAsync(cancellationToken).ConfigureAwait(false);
            await stream.FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        public override void Flush() => throw new NotSupportedException("Only FlushAsync.");

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("Only WriteAsync.");
    }
}
