using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>A block that comes in, and then is stored.</summary>
internal sealed class ServerWrite(ServerConnection connection) : ServerRequest(connection), ICall
{
    private readonly uint[] checksums = new uint[BlockIndexEntry.UnitCount(Limits.BlockBytes)];
    private BlockWrite write;
    private ChannelBuffer? buffer;
    private CancellationToken token;
    private bool isCutOff;

    /// <summary>Bytes of the block.</summary>
    public int Length { get; private set; }

    /// <summary>Bytes whose frames have come.</summary>
    public int Received { get; private set; }

    /// <summary>A checksum was wrong.</summary>
    public bool IsDamaged { get; set; }

    public Deadline Deadline { get; private set; }

    /// <summary>When its first frame came, in the clock's units.</summary>
    public long Began { get; private set; }

    /// <summary>More bytes of it are to come.</summary>
    public bool MissesBytes => Received < Length && !isCutOff;

    /// <summary>The handler has it, or had it.</summary>
    public bool IsCalled { get; private set; }

    /// <param name="id">The client's number of it.</param>
    /// <param name="frame">The first frame.</param>
    /// <param name="memory">Where the bytes go; null: they are thrown away.</param>
    /// <param name="deadline">When the client has stopped waiting.</param>
    /// <param name="now">The clock's.</param>
    public void Begin(ulong id, in WriteFrame frame, ChannelBuffer? memory, Deadline deadline, long now)
    {
        Begin(id);
        write = frame.Write;
        Length = frame.Length;
        Received = 0;
        IsDamaged = false;
        IsCalled = false;
        isCutOff = false;
        buffer = memory;
        Deadline = deadline;
        Began = now;
    }

    /// <summary>Takes a chunk's place: where its bytes go, empty if nowhere. Its checksums are kept.</summary>
    public Memory<byte> Take(int bytes, ReadOnlySpan<uint> expected)
    {
        expected[..BlockPieces.Count((uint)Received, bytes)].CopyTo(checksums.AsSpan(Received / Limits.ChecksumUnitBytes));
        Memory<byte> place = buffer is null ? default : buffer.Memory.Slice(Received, bytes);
        Received += bytes;
        return place;
    }

    /// <summary>Gets ready for <see cref="Run"/>.</summary>
    public void Arm()
    {
        IsCalled = true;
        token = Token();
    }

    /// <summary>No more bytes come.</summary>
    public void CutOff() => isCutOff = true;

    /// <summary>Gives the memory up.</summary>
    public ChannelBuffer? Yield()
    {
        ChannelBuffer? memory = buffer;
        buffer = null;
        return memory;
    }

    public void Run() => _ = CallAsync();

    private async Task CallAsync()
    {
        BlockAnswer answer = await Connection.Calls.WriteAsync(
            Connection, write, buffer!.Memory[..Length], checksums.AsMemory(0, BlockIndexEntry.UnitCount(Length)), Deadline, token)
            .ConfigureAwait(false);
        Connection.OnStored(this, answer);
    }
}
