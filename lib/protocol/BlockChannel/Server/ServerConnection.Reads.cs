using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>Reads: which chunk is read next, into which memory.</summary>
/// <remarks>A connection may always have one chunk in memory, so it goes on whatever others occupy; what is more comes out of
/// its own bound and that of all. Reads that find no memory wait in turn, small ones before others.</remarks>
internal sealed partial class ServerConnection
{
    private readonly Queue<ServerRead> starvedSmall = new();
    private readonly Queue<ServerRead> starved = new();
    private int readBuffers;
    private long readBytes;

    /// <summary>A chunk is filled, or cannot be.</summary>
    public void OnFilled(ServerRead read, BlockAnswer answer)
    {
        ReadChunk chunk = read.Filling;
        bool isOk;
        lock (gate)
        {
            if (!answer.IsOk) { read.Fail(answer); }
            isOk = !read.IsFailed;
        }

        // First its place in the queue, then the next chunk is begun, so that they stay in order; and then this thread may be
        // busy with sending.
        bool mustRun = isOk && Sender.Enqueue(chunk);
        ServerRequest? answered;
        lock (gate)
        {
            read.EndFilling();
            if (!isOk) { Free(chunk); }
            answered = Settle(read);
            KeepIfSent(read);
        }

        if (answered is not null) { Sender.Send(answered); }
        GoOn(read);
        if (mustRun) { Sender.Run(); }
        EndCall();
    }

    /// <summary>A chunk's turn to be sent has come.</summary>
    /// <returns>False: nobody wants it any more.</returns>
    public bool OnChunkLeaves(ReadChunk chunk, out bool isLast)
    {
        bool isDrained = false;
        lock (gate)
        {
            isLast = false;
            if (chunk.Read.IsFailed) { return false; }
            isLast = chunk.Read.Ends(chunk);
            if (isLast) { isDrained = Remove(chunk.Read); }
        }

        if (isDrained) { LeaveDrained(); }
        return true;
    }

    /// <summary>A chunk is sent, or dropped.</summary>
    public void OnChunkGone(ReadChunk chunk)
    {
        ServerRead read = chunk.Read;
        ServerRequest? answered;
        lock (gate)
        {
            Free(chunk);
            answered = Settle(read);
            KeepIfSent(read);
        }

        if (answered is not null) { Sender.Send(answered); }
        GoOn(read);
    }

    private string? OnReadFrame(in FrameHeader header, ReadOnlySpan<byte> head)
    {
        string? wrong = ReadFrame.Get(header, head, out ReadFrame frame);
        if (wrong is not null) { return wrong; }
        ServerRead? read = null;
        lock (gate)
        {
            wrong = Misfit(header.Request);
            if (wrong is not null) { return wrong; }
            if (!isDraining)
            {
                if (!idleReads.TryPop(out read)) { read = new(this); }
                read.Begin(header.Request, frame, DeadlineOf(frame.TimeoutMs));
                requests.Add(header.Request, read);
            }
        }

        if (read is null) { return Refuse(header.Request, Status.Unavailable); }
        GoOn(read);
        return null;
    }

    /// <summary>The answer of a read that failed, if it is time to send it. Under the gate.</summary>
    private static ServerRead? Settle(ServerRead read)
    {
        if (!read.IsFailed || !read.IsQuiet || read.IsAnswered) { return null; }
        read.Close(read.Failure);
        return read;
    }

    /// <summary>Begins what now can be: a read's next chunk, behind those that wait for memory already.</summary>
    private void GoOn(ServerRead read)
    {
        lock (gate)
        {
            if (read is { WantsMemory: true, IsStarved: false })
            {
                read.IsStarved = true;
                (read.IsSmall ? starvedSmall : starved).Enqueue(read);
            }
        }

        while (NextCall() is { } call) { context.Threads.Post(call); }
    }

    private ServerRead? NextCall()
    {
        lock (gate)
        {
            while (starvedSmall.TryPeek(out ServerRead? read) || starved.TryPeek(out read))
            {
                bool isWanted = read.WantsMemory && End is null;
                if (isWanted && !TryArm(read)) { return null; }
                (starvedSmall.Count > 0 ? starvedSmall : starved).Dequeue();
                read.IsStarved = false;
                if (isWanted) { return read; }
            }

            return null;
        }
    }

    private bool TryArm(ServerRead read)
    {
        int bytes = read.NextBytes(chunkBytes);
        ChannelBuffer? memory = null;
        if (readBuffers == 0) { memory = context.ReadMemory.RentBeyond(bytes); }
        else if (readBytes + bytes <= options.ConnectionReadBytes) { memory = context.ReadMemory.TryRent(bytes); }
        if (memory is null) { return false; }
        readBuffers++;
        readBytes += memory.Capacity;
        calls++;
        read.Arm(memory, bytes);
        return true;
    }

    private void Free(ReadChunk chunk)
    {
        ChannelBuffer memory = chunk.Yield();
        readBuffers--;
        readBytes -= memory.Capacity;
        context.ReadMemory.Return(memory);
    }

    private void KeepIfSent(ServerRead read)
    {
        if (read is { IsComplete: true, IsQuiet: true }) { Keep(read); }
    }

    private void Keep(ServerRead read)
    {
        if (!read.IsStarved && read.Renew() && idleReads.Count < KeptRequests) { idleReads.Push(read); }
    }
}
