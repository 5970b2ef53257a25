using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Pipelines;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests.Wire;

/// <summary>The framing of messages over a pipe, without HTTP around it.</summary>
public sealed class MessageReaderTests
{
    private const int Limit = 10_000;

    [Fact]
    public async Task Messages_come_out_whole_however_the_bytes_come_in()
    {
        for (int round = 0; round < 200; round++)
        {
            int seed = Seeds.Next();
            Random random = new(seed);
            List<byte[]> sent = [.. Enumerable.Range(0, random.Next(1, 30)).Select(_ => RandomBytes(random, random.Next(3) == 0 ? 5000 : 50))];
            byte[] stream = [.. sent.SelectMany(message => Framed(message, random.Next(4) == 0))];
            Pipe pipe = new(new PipeOptions(minimumSegmentSize: 64, useSynchronizationContext: false));
            Task writing = WriteInPiecesAsync(pipe.Writer, stream, random.Next(1, 700), random);
            MessageReader<ReadOnlyMemory<byte>> reader = new(pipe.Reader, Marshaller.Bytes, Limit, gzip: true);
            List<byte[]> read = [];
            while (await reader.WaitToReadAsync(CancellationToken.None))
            {
                while (reader.TryRead(out ReadOnlyMemory<byte> message)) { read.Add(message.ToArray()); }
            }
            await writing;
            Assert.True(sent.Count == read.Count, $"seed {seed}: {sent.Count} messages became {read.Count}");
            for (int index = 0; index < sent.Count; index++)
            {
                Assert.True(sent[index].AsSpan().SequenceEqual(read[index]), $"seed {seed}: message {index} differs");
            }
        }
    }

    /// <summary>Random damage: each stream ends in messages, or in one of the statuses that the format can cause.</summary>
    [Fact]
    public async Task Damaged_streams_end_in_a_status_and_in_nothing_else()
    {
        for (int round = 0; round < 500; round++)
        {
            int seed = Seeds.Next();
            Random random = new(seed);
            byte[] stream = [.. Enumerable.Range(0, 5).SelectMany(_ => Framed(RandomBytes(random, 200), random.Next(2) == 0))];
            for (int flips = random.Next(1, 6); flips > 0; flips--) { stream[random.Next(stream.Length)] = (byte)random.Next(256); }
            Pipe pipe = new();
            Task writing = WriteInPiecesAsync(pipe.Writer, stream[..random.Next(stream.Length)], 100, random);
            MessageReader<ReadOnlyMemory<byte>> reader = new(pipe.Reader, Marshaller.Bytes, Limit, gzip: true);
            try
            {
                await foreach (ReadOnlyMemory<byte> message in reader.ReadAllAsync(CancellationToken.None))
                {
                    Assert.True(message.Length <= Limit, $"seed {seed}: {message.Length} bytes");
                }
            }
            catch (GrpcException e)
            {
                Assert.True(e.Code is GrpcStatusCode.Internal or GrpcStatusCode.ResourceExhausted, $"seed {seed}: {e}");
            }
            await pipe.Reader.CompleteAsync();
            await writing;
        }
    }

    [Fact]
    public async Task A_length_of_four_gigabytes_is_refused_before_it_arrives()
    {
        GrpcException failure = await FailureOfAsync([0, 0xFF, 0xFF, 0xFF, 0xFF], gzip: false, complete: false);
        Assert.Equal(GrpcStatusCode.ResourceExhausted, failure.Code);
    }

    [Fact]
    public async Task A_few_bytes_that_stand_for_many_are_refused()
    {
        GrpcException failure = await FailureOfAsync(Framed(new byte[50_000_000], compressed: true, forged: true), gzip: true, complete: true);
        Assert.Equal(GrpcStatusCode.ResourceExhausted, failure.Code);
    }

    [Theory]
    [InlineData(new byte[] { 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 5, 1, 2 })]
    [InlineData(new byte[] { 2, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 1, 0, 0, 0, 1, 9 })]
    public async Task A_torn_or_wrongly_flagged_message_is_an_internal_error(byte[] stream) =>
        Assert.Equal(GrpcStatusCode.Internal, (await FailureOfAsync(stream, gzip: false, complete: true)).Code);

    [Fact]
    public async Task What_claims_to_be_gzip_and_is_not_is_an_internal_error() =>
        Assert.Equal(GrpcStatusCode.Internal, (await FailureOfAsync([1, 0, 0, 0, 2, 9, 9], gzip: true, complete: true)).Code);

    private static async Task<GrpcException> FailureOfAsync(byte[] stream, bool gzip, bool complete)
    {
        Pipe pipe = new(new PipeOptions(pauseWriterThreshold: 0));
        await pipe.Writer.WriteAsync(stream);
        if (complete) { await pipe.Writer.CompleteAsync(); }
        MessageReader<ReadOnlyMemory<byte>> reader = new(pipe.Reader, Marshaller.Bytes, 1_000_000, gzip);
        return await Assert.ThrowsAsync<GrpcException>(async () =>
        {
            await foreach (ReadOnlyMemory<byte> message in reader.ReadAllAsync(CancellationToken.None)) { Assert.Fail("a message"); }
        });
    }

    private static byte[] RandomBytes(Random random, int below)
    {
        byte[] bytes = new byte[random.Next(below)];
        random.NextBytes(bytes);
        return bytes;
    }

    private static byte[] Framed(byte[] message, bool compressed, bool forged = false)
    {
        byte[] body = message;
        if (compressed)
        {
            using MemoryStream packed = new();
            using (GZipStream gzip = new(packed, forged ? CompressionLevel.SmallestSize : CompressionLevel.Fastest)) { gzip.Write(message); }
            body = packed.ToArray();
        }
        byte[] framed = new byte[5 + body.Length];
        framed[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt32BigEndian(framed.AsSpan(1), body.Length);
        body.CopyTo(framed, 5);
        return framed;
    }

    private static async Task WriteInPiecesAsync(PipeWriter writer, byte[] stream, int below, Random random)
    {
        for (int at = 0; at < stream.Length;)
        {
            int length = Math.Min(stream.Length - at, random.Next(1, below + 1));
            FlushResult result = await writer.WriteAsync(stream.AsMemory(at, length));
            if (result.IsCompleted) { break; }
            at += length;
        }
        await writer.CompleteAsync();
    }
}
