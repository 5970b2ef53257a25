using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.BlockChannel.Wire;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests.Wire;

/// <summary>Each frame as its golden file has it, and back.</summary>
public sealed class FrameTests
{
    private readonly byte[] room = new byte[FrameHeader.MaxHeadBytes];
    private readonly uint[] checksums = new uint[WireLimits.MaxPieces];

    [Fact]
    public void A_write_is_as_its_golden_file()
    {
        WriteFrame sent = new(Samples.Write(0xB10C, BlockWriteFlags.Forward | BlockWriteFlags.Durable), 30_000, 5_000_000);
        ReadOnlySpan<byte> head = Check("write", sent.Put(0xABCDEF, 131_072, [0x11111111, 0x22222222], room));
        Assert.Null(WriteFrame.Get(Header(head), head, checksums, out WriteFrame read));
        Assert.Equal(sent, read);
        Assert.Equal([0x11111111u, 0x22222222u], checksums[..2]);
    }

    [Fact]
    public void The_next_bytes_of_a_write_are_as_their_golden_file()
    {
        ReadOnlySpan<byte> head = Check(
            "write-more", ChunkFrame.Put(FrameKind.WriteMore, 0, 0xABCDEF, 131_072, 70_000, [0x33333333, 0x44444444], room));
        Assert.Null(ChunkFrame.Get(Header(head), head, checksums, out uint offset));
        Assert.Equal(131_072u, offset);
        Assert.Equal([0x33333333u, 0x44444444u], checksums[..2]);
    }

    [Fact]
    public void A_read_is_as_its_golden_file()
    {
        ReadFrame sent = new(Samples.Read(0xB10C, 65_000, 4096), 250);
        ReadOnlySpan<byte> head = Check("read", sent.Put(0xABCDF0, room));
        Assert.Null(ReadFrame.Get(Header(head), head, out ReadFrame read));
        Assert.Equal(sent, read);
    }

    [Fact]
    public void Data_are_as_their_golden_file()
    {
        ReadOnlySpan<byte> head = Check(
            "data", ChunkFrame.Put(FrameKind.Data, ChunkFrame.Last, 0xABCDF0, 65_000, 4096, [0x55555555, 0x66666666], room));
        Assert.Equal(ChunkFrame.Last, Header(head).Flags);
        Assert.Null(ChunkFrame.Get(Header(head), head, checksums, out uint offset));
        Assert.Equal(65_000u, offset);
    }

    [Fact]
    public void An_answer_is_as_its_golden_file()
    {
        ReadOnlySpan<byte> head = Check("answer", AnswerFrame.Put(0xABCDEF, BlockAnswer.Stale(new(8)), room));
        Assert.Null(AnswerFrame.Get(Header(head), head, out BlockAnswer read));
        Assert.Equal(BlockAnswer.Stale(new(8)), read);
    }

    [Fact]
    public void A_goodbye_is_as_its_golden_file()
    {
        ReadOnlySpan<byte> head = Check("bye", ByeFrame.Put(Status.Unavailable, "the server is stopping", room));
        Assert.Null(ByeFrame.Get(Header(head), head, out Status status, out string reason));
        Assert.Equal((Status.Unavailable, "the server is stopping"), (status, reason));
    }

    [Theory]
    [InlineData("cancel")]
    [InlineData("ping")]
    [InlineData("pong")]
    [InlineData("drain")]
    public void A_frame_that_is_only_a_header_is_as_its_golden_file(string name)
    {
        FrameKind kind = Enum.Parse<FrameKind>(name, ignoreCase: true);
        ReadOnlySpan<byte> head = Check(name, BareFrame.Put(kind, 0xABCDEF, room));
        Assert.Null(BareFrame.Check(Header(head)));
        Assert.Equal(new FrameHeader(kind, 0, 0xABCDEF, FrameHeader.Size, 0), Header(head));
    }

    [Fact]
    public void Hellos_are_as_their_golden_files()
    {
        PoolId pool = ChannelWorld.Pool;
        Hello client = new(Status.Ok, pool, 256 << 10, 0, 0, 0, string.Empty);
        Hello server = new(Status.Ok, pool, 1 << 20, 64 << 20, 1024, 60_000, string.Empty);
        Hello refusal = server with { Status = Status.NotFound, Reason = "this is no node of pool x" };
        foreach ((string name, Hello sent) in ((string, Hello)[])[("hello-client", client), ("hello-server", server), ("hello-refusal", refusal)])
        {
            byte[] bytes = new byte[Hello.MaxBytes];
            bytes = bytes[..sent.Put(bytes)];
            Golden.Check(name, bytes);
            Assert.Equal(Status.Ok, Hello.GetLength(bytes, out int length));
            Assert.Equal(bytes.Length, length);
            Assert.Equal(Status.Ok, Hello.Get(bytes, out Hello read));
            Assert.Equal(sent, read);
        }
    }

    [Fact]
    public void A_reason_is_cut_where_a_character_ends_and_has_no_control_characters()
    {
        string longest = new('\u00FC', 200);
        ByeFrame.Put(Status.Ok, longest + "x", room);
        Assert.Null(FrameHeader.Read(room, 0, out FrameHeader header));
        Assert.Null(ByeFrame.Get(header, room.AsSpan(0, header.HeadBytes), out _, out string read));
        Assert.Equal(longest[..127], read);
        ByeFrame.Put(Status.Ok, "a\u001b[2J\nb", room);
        Assert.Null(FrameHeader.Read(room, 0, out header));
        Assert.Null(ByeFrame.Get(header, room.AsSpan(0, header.HeadBytes), out _, out read));
        Assert.Equal("a?[2J?b", read);
    }

    private ReadOnlySpan<byte> Check(string name, int length)
    {
        Golden.Check(name, room.AsSpan(0, length));
        Assert.True(FrameHeader.IsIntact(room.AsSpan(0, length)));
        return room.AsSpan(0, length);
    }

    private static FrameHeader Header(ReadOnlySpan<byte> head)
    {
        Assert.Null(FrameHeader.Read(head, WireLimits.MaxPayloadBytes, out FrameHeader header));
        Assert.Equal(head.Length, header.HeadBytes);
        return header;
    }
}
