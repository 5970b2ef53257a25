using System.Threading.Tasks.Sources;
using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Client;

/// <summary>Why a request ends without its answer.</summary>
internal enum Abandonment
{
    None,
    TimedOut,
    Cancelled,
    ConnectionEnded,
}

/// <summary>A request, as what its caller awaits and as what is sent.</summary>
/// <remarks>Its state belongs to the connection's gate; what it was called with does not change while it lives. It is used again
/// once its caller has the result and the server has no more to say about it.</remarks>
internal sealed class ClientRequest : Outgoing, IValueTaskSource<BlockAnswer>
{
    private readonly ClientConnection connection;
    private readonly uint[] computed = new uint[WireLimits.MaxPieces];
    private ManualResetValueTaskSourceCore<BlockAnswer> result = new() { RunContinuationsAsynchronously = true };
    private BlockWrite write;
    private BlockRead read;
    private ReadOnlyMemory<byte> content;
    private ReadOnlyMemory<uint> given;
    private Memory<byte> destination;
    private Memory<uint> wanted;
    private CancellationToken token;
    private CancellationTokenRegistration registration;
    private int leaving;
    private int done;

    public ClientRequest(ClientConnection connection) => this.connection = connection;

    /// <summary>The number that the server knows it by; 0 while it has none.</summary>
    public ulong Id { get; set; }

    public bool IsWrite { get; private set; }

    /// <summary>Bytes of the block, or that are to be read.</summary>
    public int Length { get; private set; }

    public Deadline Deadline { get; private set; }

    /// <summary>It is in a queue: of those that wait for a place, or of the sender.</summary>
    public bool IsQueued { get; set; }

    /// <summary>A frame of it is under way: the content is in use.</summary>
    public bool IsSending { get; set; }

    /// <summary>Bytes are being received into the destination.</summary>
    public bool IsReceiving { get; set; }

    /// <summary>The server knows of it, or may.</summary>
    public bool HasLeft { get; private set; }

    /// <summary>A cancel waits to be sent, or was sent.</summary>
    public bool IsCancelQueued { get; set; }

    public bool IsCancelSent { get; set; }

    public bool IsAnswered { get; private set; }

    public Abandonment Abandoned { get; private set; }

    /// <summary>When it was abandoned, in the clock's units.</summary>
    public long AbandonedAt { get; private set; }

    /// <summary>The caller has, or can have, the result.</summary>
    public bool IsCompleted { get; private set; }

    /// <summary>It counts no more against what may be in flight.</summary>
    public bool IsOver { get; set; }

    /// <summary>The caller has taken the result, and nobody else knows of it.</summary>
    public bool IsConsumed { get; set; }

    /// <summary>Bytes received that had other checksums.</summary>
    public bool IsDamaged { get; set; }

    /// <summary>A part of the block has not been put into a frame.</summary>
    public bool HasUnsent => IsWrite && done < Length;

    /// <summary>Nothing uses its memory.</summary>
    public bool IsFree => !IsSending && !IsReceiving;

    public BlockAnswer Answer { get; private set; }

    public short Version => result.Version;

    /// <summary>Of a read: the next byte to come, in the block.</summary>
    public uint NextOffset => read.Offset + (uint)done;

    /// <summary>Of a read: the byte behind the last, in the block.</summary>
    public int End => (int)read.Offset + read.Length;

    internal override bool IsUrgent => Length <= Limits.ChecksumUnitBytes || !IsWrite;

    public void BeginWrite(in BlockWrite request, ReadOnlyMemory<byte> bytes, ReadOnlyMemory<uint> checksums, Deadline until)
    {
        IsWrite = true;
        write = request;
        content = bytes;
        given = checksums;
        Length = bytes.Length;
        Deadline = until;
    }

    public void BeginRead(in BlockRead request, Memory<byte> bytes, Memory<uint> checksums, Deadline until)
    {
        IsWrite = false;
        read = request;
        destination = bytes;
        wanted = checksums;
        Length = bytes.Length;
        Deadline = until;
    }

    /// <summary>From now on the token cancels it, perhaps at once. Called before anybody else knows of it.</summary>
    public void Watch(CancellationToken cancellation)
    {
        token = cancellation;
        registration = cancellation.UnsafeRegister(
            static state => ((ClientRequest)state!).connection.Abandon((ClientRequest)state, Abandonment.Cancelled), this);
    }

    public void Abandon(Abandonment why, long now)
    {
        if (Abandoned != Abandonment.None || IsCompleted) { return; }
        Abandoned = why;
        AbandonedAt = now;
    }

    public void Close(BlockAnswer answer)
    {
        Answer = answer;
        IsAnswered = true;
    }

    /// <summary>Gives the caller the result.</summary>
    public void Complete()
    {
        IsCompleted = true;
        if (IsAnswered) { result.SetResult(IsDamaged && Answer.IsOk ? BlockAnswer.Of(Status.Corrupt) : Answer); }
        else if (Abandoned == Abandonment.Cancelled) { result.SetException(new OperationCanceledException(token)); }
        else if (Abandoned == Abandonment.TimedOut) { result.SetResult(BlockAnswer.Of(Status.TimedOut)); }
        else { result.SetResult(BlockAnswer.Of(IsWrite && HasLeft ? Status.Unknown : Status.Unavailable)); }
    }

    /// <summary>Gets ready for another life.</summary>
    public void Reset()
    {
        result.Reset();
        content = default;
        given = default;
        destination = default;
        wanted = default;
        token = default;
        registration = default;
        Id = 0;
        done = 0;
        HasLeft = IsCancelQueued = IsCancelSent = IsAnswered = IsCompleted = IsOver = IsConsumed = IsDamaged = false;
        Abandoned = Abandonment.None;
    }

    /// <summary>Takes the next chunk of the write, or the read's only frame, out for sending.</summary>
    public void TakeFrame(int chunkBytes)
    {
        HasLeft = true;
        IsSending = true;
        IsQueued = false;
        leaving = IsWrite ? Math.Min(chunkBytes, Length - done) : 0;
        done += leaving;
    }

    /// <summary>Takes the place of bytes that a read receives.</summary>
    public Memory<byte> TakePlace(int bytes, ReadOnlySpan<uint> expected)
    {
        if (!wanted.IsEmpty)
        {
            expected[..BlockPieces.Count(NextOffset, bytes)].CopyTo(wanted.Span[BlockPieces.Count(read.Offset, done)..]);
        }

        Memory<byte> place = destination.Slice(done, bytes);
        done += bytes;
        return place;
    }

    /// <summary>Counts bytes that a read receives and nobody wants any more.</summary>
    public void Skip(int bytes) => done += bytes;

    public BlockAnswer GetResult(short token)
    {
        try
        {
            return result.GetResult(token);
        }
        finally
        {
            // A callback of the token that is under way may still look at this object.
            bool isUnwatched = !this.token.CanBeCanceled || registration.Unregister();
            connection.OnConsumed(this, isUnwatched);
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => result.GetStatus(token);

    public void OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        result.OnCompleted(continuation, state, token, flags);

    internal override int PutFrame(Span<byte> head, out ReadOnlyMemory<byte> payload)
    {
        payload = default;
        if (!connection.OnFrameLeaves(this)) { return 0; }
        uint timeoutMs = TimeoutMs();
        if (!IsWrite) { return new ReadFrame(read, timeoutMs).Put(Id, head); }
        int start = done - leaving;
        payload = content.Slice(start, leaving);
        ReadOnlySpan<uint> checksums = ChecksumsOf(start, payload.Span);
        return start == 0
            ? new WriteFrame(write, timeoutMs, Length).Put(Id, leaving, checksums, head)
            : ChunkFrame.Put(FrameKind.WriteMore, 0, Id, (uint)start, leaving, checksums, head);
    }

    internal override bool OnSent() => connection.OnFrameSent(this);

    internal override void OnDropped() => connection.OnFrameDropped(this);

    /// <summary>Those that came with the bytes, or new ones: just before the bytes are sent, so that the processor reads them
    /// once.</summary>
    private ReadOnlySpan<uint> ChecksumsOf(int start, ReadOnlySpan<byte> bytes)
    {
        int count = BlockPieces.Count((uint)start, bytes.Length);
        if (!given.IsEmpty) { return given.Span.Slice(start / Limits.ChecksumUnitBytes, count); }
        BlockPieces.Checksum((uint)start, bytes, computed);
        return computed.AsSpan(0, count);
    }

    private uint TimeoutMs() => Deadline.IsNone
        ? 0
        : (uint)Math.Clamp(Math.Ceiling(Deadline.Remaining(connection.Time).TotalMilliseconds), 1, uint.MaxValue);
}
