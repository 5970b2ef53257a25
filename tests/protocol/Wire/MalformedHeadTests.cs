using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.BlockChannel.Wire;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests.Wire;

/// <summary>Heads and hellos of random and of changed bytes: each is read, or answered with what is wrong; none throws, and what
/// is read is within its bounds.</summary>
public sealed class MalformedHeadTests
{
    private const int Rounds = 300_000;

    private readonly uint[] checksums = new uint[WireLimits.MaxPieces];

    [Fact]
    public Task Random_and_changed_heads_are_read_or_refused() => Seeds.RunAsync(random =>
    {
        byte[] head = new byte[FrameHeader.MaxHeadBytes];
        int read = 0;
        for (int round = 0; round < Rounds; round++)
        {
            if (random.Next(4) == 0) { random.NextBytes(head); }
            else { Good(random, head); }
            for (int changes = random.Next(4); changes > 0; changes--) { head[random.Next(72)] = Interesting(random); }
            if (FrameHeader.Read(head, WireLimits.MaxPayloadBytes, out FrameHeader header) is not null) { continue; }
            Assert.InRange(header.HeadBytes, FrameHeader.Size, FrameHeader.MaxHeadBytes);
            Assert.InRange(header.PayloadBytes, 0, WireLimits.MaxPayloadBytes);
            if (Get(header, head.AsSpan(0, header.HeadBytes)) is null) { read++; }
        }

        Assert.InRange(read, Rounds / 10, Rounds - 1);
        return Task.CompletedTask;
    });

    [Fact]
    public Task Random_and_changed_hellos_are_read_or_refused() => Seeds.RunAsync(random =>
    {
        for (int round = 0; round < Rounds / 10; round++)
        {
            byte[] bytes = new byte[Hello.MaxBytes];
            int length = new Hello(Status.Busy, ChannelWorld.Pool, 64 << 10, 1, 1, 1, "no room").Put(bytes);
            Assert.Equal(Status.Ok, Hello.Get(bytes.AsSpan(0, length), out _));
            int at = random.Next(length);
            bytes[at] ^= (byte)(1 << random.Next(8));
            Assert.True(
                Hello.GetLength(bytes, out int told) != Status.Ok || Hello.Get(bytes.AsSpan(0, told), out _) != Status.Ok,
                $"a flip of byte {at} was not noticed");
            random.NextBytes(bytes);
            if (Hello.GetLength(bytes, out told) == Status.Ok) { Hello.Get(bytes.AsSpan(0, told), out _); }
        }

        return Task.CompletedTask;
    });

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(0, 1, 1)]
    [InlineData(65_535, 1, 1)]
    [InlineData(65_535, 2, 2)]
    [InlineData(65_536, 65_536, 1)]
    [InlineData(1, 65_536, 2)]
    [InlineData(1, 1 << 20, 17)]
    [InlineData(0, 16 << 20, 256)]
    public void A_run_of_bytes_has_a_piece_for_each_unit_that_it_touches(uint offset, int length, int pieces) =>
        Assert.Equal(pieces, BlockPieces.Count(offset, length));

    private string? Get(in FrameHeader header, ReadOnlySpan<byte> head)
    {
        switch (header.Kind)
        {
            case FrameKind.Write:
                string? wrong = WriteFrame.Get(header, head, checksums, out WriteFrame write);
                if (wrong is null) { Assert.InRange(write.Length, header.PayloadBytes, Limits.BlockBytes); }
                return wrong;
            case FrameKind.Read:
                wrong = ReadFrame.Get(header, head, out ReadFrame read);
                if (wrong is null) { Assert.InRange(read.Read.Offset + read.Read.Length, 1, Limits.BlockBytes); }
                return wrong;
            case FrameKind.WriteMore or FrameKind.Data:
                return ChunkFrame.Get(header, head, checksums, out _);
            case FrameKind.Answer:
                return AnswerFrame.Get(header, head, out _);
            case FrameKind.Bye:
                wrong = ByeFrame.Get(header, head, out _, out string reason);
                Assert.DoesNotContain(reason.AsEnumerable(), char.IsControl);
                return wrong;
            default:
                return BareFrame.Check(header);
        }
    }

    private static void Good(Random random, byte[] head)
    {
        int payload = random.Next(1, 300_000);
        uint offset = (uint)random.Next(1 << 20);
        Span<uint> sums = stackalloc uint[WireLimits.MaxPieces];
        _ = random.Next(6) switch
        {
            0 => new WriteFrame(Samples.Write(1), 0, payload).Put(1, payload, sums[..BlockPieces.Count(0, payload)], head),
            1 => new ReadFrame(Samples.Read(1, offset, payload), 0).Put(1, head),
            2 => ChunkFrame.Put(FrameKind.Data, 1, 1, offset, payload, sums[..BlockPieces.Count(offset, payload)], head),
            3 => AnswerFrame.Put(1, BlockAnswer.Ok, head),
            4 => ByeFrame.Put(Status.Ok, "because", head),
            _ => BareFrame.Put(FrameKind.Ping, 1, head),
        };
    }

    private static byte Interesting(Random random) => random.Next(4) switch { 0 => 0, 1 => 255, 2 => 1, _ => (byte)random.Next(256) };
}
