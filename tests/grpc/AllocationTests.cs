using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using KvFs.Grpc.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Grpc.Tests;

/// <summary>Runs after all others: it counts what the whole process allocates.</summary>
[CollectionDefinition(nameof(AllocationTests), DisableParallelization = true)]
[Collection(nameof(AllocationTests))]
public sealed class AllocationTests
{
    private static readonly GrpcMethod<long, long> Numbers =
        new(GrpcMethodKind.Duplex, "kvfs.test.Numbers", "Echo", new NumberMarshaller(), new NumberMarshaller());

    [Fact]
    public async Task A_message_on_a_stream_costs_no_memory_of_its_own()
    {
        GrpcServices services = new();
        services.Duplex(Numbers, async (input, output, call) =>
        {
            while (await input.WaitToReadAsync(call.Cancellation))
            {
                while (input.TryRead(out long number)) { output.Write(number); }
                await output.FlushAsync(call.Cancellation);
            }
        });
        GrpcServerOptions options = new() { Endpoints = [GrpcEndpoint.TcpPlainText(new IPEndPoint(IPAddress.Loopback, 0))] };
        await using GrpcServer server = new(services, options, NullLoggerFactory.Instance);
        await server.StartAsync(CancellationToken.None);
        using GrpcChannel channel = new(
            GrpcTarget.TcpPlainText("127.0.0.1", ((IPEndPoint)server.Bound[0]).Port), new GrpcChannelOptions());
        using GrpcCall<long, long> call = channel.Start(Numbers, GrpcCallOptions.None, CancellationToken.None);
        await EchoAsync(call, batches: 100);

        // The count is the whole process's: the quietest of some rounds tells what the messages themselves allocate.
        double perMessage = double.MaxValue;
        for (int round = 0; round < 4; round++)
        {
            long before = GC.GetTotalAllocatedBytes();
            await EchoAsync(call, batches: 100);
            perMessage = Math.Min(perMessage, (GC.GetTotalAllocatedBytes() - before) / (100.0 * Batch));
        }


        // HTTP/2 of both sides allocates some 2 KiB per batch. Objects per message would be 24 bytes at least, on each side.
        Assert.InRange(perMessage, 0, 16);
    }

    private const int Batch = 500;

    private static async Task EchoAsync(GrpcCall<long, long> call, int batches)
    {
        for (int batch = 0; batch < batches; batch++)
        {
            for (int number = 0; number < Batch; number++) { call.Requests!.Write(number); }
            await call.Requests!.FlushAsync(CancellationToken.None);
            for (int number = 0; number < Batch;)
            {
                Assert.True(await call.WaitToReadAsync());
                while (call.TryRead(out long read)) { if (read != number++) { Assert.Fail($"{read} is out of order"); } }
            }
        }
    }

    private sealed class NumberMarshaller : Marshaller<long>
    {
        public override int Size(long message) => sizeof(long);

        public override void Write(long message, IBufferWriter<byte> output)
        {
            BinaryPrimitives.WriteInt64BigEndian(output.GetSpan(sizeof(long)), message);
            output.Advance(sizeof(long));
        }

        public override long Read(in ReadOnlySequence<byte> bytes)
        {
            SequenceReader<byte> reader = new(bytes);
            return reader.TryReadBigEndian(out long message) ? message : throw new InvalidDataException("a number has eight bytes");
        }
    }
}
