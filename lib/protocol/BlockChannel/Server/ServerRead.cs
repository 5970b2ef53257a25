using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>A part of a block that is read and sent chunk by chunk: one is read while the one before is sent.</summary>
/// <remarks>Its state belongs to the connection's gate. As something to be sent it is the answer that takes the place of the
/// data that could not be read.</remarks>
internal sealed class ServerRead : ServerRequest, ICall
{
    /// <summary>A read of at most so many bytes goes before longer ones.</summary>
    private const int SmallBytes = 64 << 10;

    private readonly ReadChunk first;
    private readonly ReadChunk second;
    private BlockRead read;
    private int next;
    private Deadline deadline;
    private CancellationToken token;
    private ReadChunk? filling;

    public ServerRead(ServerConnection connection)
        : base(connection)
    {
        first = new(connection, this);
        second = new(connection, this);
    }

    public bool IsSmall => read.Length <= SmallBytes;

    /// <summary>It waits for memory.</summary>
    public bool IsStarved { get; set; }

    /// <summary>Its last chunk is on its way.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>The answer says why there is no (more) data.</summary>
    public bool IsFailed { get; private set; }

    /// <summary>What is to be answered in place of data, once <see cref="IsQuiet"/>.</summary>
    public BlockAnswer Failure { get; private set; }

    /// <summary>Nothing of it is being read, or waits to be sent.</summary>
    public bool IsQuiet => filling is null && !first.IsBusy && !second.IsBusy;

    /// <summary>Could go on, if it had memory.</summary>
    public bool WantsMemory =>
        filling is null && !IsFailed && next < read.Length && !(first.IsBusy && second.IsBusy);

    public void Begin(ulong id, in ReadFrame frame, Deadline until)
    {
        Begin(id);
        read = frame.Read;
        next = 0;
        deadline = until;
        IsComplete = false;
        IsFailed = false;
        token = Token();
    }

    /// <summary>Bytes of the next chunk: it ends with the read, or where a unit of the block does.</summary>
    public int NextBytes(int chunkBytes)
    {
        uint start = read.Offset + (uint)next;
        int left = read.Length - next;
        if (left <= chunkBytes) { return left; }
        return chunkBytes - (int)((start + (uint)chunkBytes) % Limits.ChecksumUnitBytes);
    }

    /// <summary>Takes memory for the next chunk, which <see cref="Run"/> then fills.</summary>
    public void Arm(ChannelBuffer buffer, int bytes)
    {
        filling = first.IsBusy ? second : first;
        filling.Take(buffer, read.Offset + (uint)next, bytes);
        next += bytes;
    }

    /// <summary>The chunk that is being filled, until <see cref="EndFilling"/>.</summary>
    public ReadChunk Filling => filling!;

    /// <summary>The chunk is filled, and has its place among what is to be sent, or there is none.</summary>
    public void EndFilling() => filling = null;

    public void Fail(BlockAnswer answer)
    {
        if (IsFailed) { return; }
        IsFailed = true;
        Failure = answer;
    }

    /// <summary>Whether this chunk is the last.</summary>
    public bool Ends(ReadChunk chunk)
    {
        IsComplete |= chunk.Offset + (uint)chunk.Bytes == read.Offset + (uint)read.Length;
        return IsComplete;
    }

    public void Run() => _ = CallAsync();

    private async Task CallAsync()
    {
        ReadChunk chunk = filling!;
        BlockAnswer answer = await Connection.Calls.ReadAsync(
            Connection,
            read with { Offset = chunk.Offset, Length = chunk.Bytes },
            read.Length - next,
            chunk.Content,
            chunk.Checksums,
            deadline,
            token).ConfigureAwait(false);
        Connection.OnFilled(this, answer);
    }
}

/// <summary>Some bytes of a read, in memory from before they are read until they are sent.</summary>
internal sealed class ReadChunk(ServerConnection connection, ServerRead read) : Outgoing
{
    private readonly uint[] checksums = new uint[WireLimits.MaxPieces];
    private ChannelBuffer? buffer;

    public ServerRead Read => read;

    public uint Offset { get; private set; }

    public int Bytes { get; private set; }

    public bool IsBusy => buffer is not null;

    public Memory<byte> Content => buffer!.Memory[..Bytes];

    public Memory<uint> Checksums => checksums.AsMemory(0, BlockPieces.Count(Offset, Bytes));

    internal override bool IsUrgent => read.IsSmall;

    public void Take(ChannelBuffer memory, uint offset, int bytes)
    {
        buffer = memory;
        Offset = offset;
        Bytes = bytes;
    }

    /// <summary>Gives the memory up.</summary>
    public ChannelBuffer Yield()
    {
        ChannelBuffer memory = buffer!;
        buffer = null;
        return memory;
    }

    internal override int PutFrame(Span<byte> head, out ReadOnlyMemory<byte> payload)
    {
        if (!connection.OnChunkLeaves(this, out bool isLast))
        {
            payload = default;
            connection.OnChunkGone(this);
            return 0;
        }

        payload = Content;
        return ChunkFrame.Put(FrameKind.Data, isLast ? ChunkFrame.Last : (byte)0, read.Id, Offset, Bytes, Checksums.Span, head);
    }

    internal override bool OnSent()
    {
        connection.OnChunkGone(this);
        return false;
    }

    internal override void OnDropped() => connection.OnChunkGone(this);
}
