using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>Runs after all others: it counts what the whole process allocates.</summary>
[CollectionDefinition(nameof(AllocationTests), DisableParallelization = true)]
[Collection(nameof(AllocationTests))]
public sealed class AllocationTests
{
    /// <summary>Answers from what it was made with, so that only the channel could allocate.</summary>
    private sealed class Zeros : IBlockChannelHandler
    {
        private readonly uint[] checksums = new uint[17];

        public Zeros() => Array.Fill(checksums, Crc32C.Compute(new byte[Limits.ChecksumUnitBytes]));

        public ValueTask<BlockAnswer> WriteAsync(
            BlockWrite write, ReadOnlyMemory<byte> content, ReadOnlyMemory<uint> given, CancellationToken cancellation) => new(BlockAnswer.Ok);

        public ValueTask<BlockAnswer> ReadAsync(
            BlockRead read, int behind, Memory<byte> destination, Memory<uint> pieces, CancellationToken cancellation)
        {
            destination.Span.Clear();
            checksums.AsSpan(0, pieces.Length).CopyTo(pieces.Span);
            return new(BlockAnswer.Ok);
        }
    }

    [Fact]
    public async Task A_request_costs_no_memory_of_its_own()
    {
        await using BlockChannelServer server = new(
            new() { Endpoints = [BlockChannelEndpoint.TcpPlainText(new(System.Net.IPAddress.Loopback, 0))], Pool = ChannelWorld.Pool }, new Zeros());
        server.Start();
        await using BlockChannelPool pool = new(
            BlockChannelTarget.TcpPlainText("127.0.0.1", ((System.Net.IPEndPoint)server.Bound[0]).Port), ChannelWorld.ClientOptions);
        byte[] memory = new byte[1 << 20];
        using CancellationTokenSource source = new();
        await AskAsync(pool, memory, 200, source.Token);
        long before = GC.GetTotalAllocatedBytes();
        await AskAsync(pool, memory, 1000, source.Token);
        double perRequest = (GC.GetTotalAllocatedBytes() - before) / 2000.0;

        // A megabyte has four frames each way, and each may leave in two calls that have to wait: what is seen is a suspended method or
        // two of the loop that sends, 200 bytes each. An object for each frame would be as much again for each of ten.
        Assert.InRange(perRequest, 0, 1500);
    }

    private static async Task AskAsync(BlockChannelPool pool, byte[] memory, int rounds, CancellationToken token)
    {
        Deadline deadline = Deadline.After(TimeProvider.System, TimeSpan.FromMinutes(5));
        for (int round = 0; round < rounds; round++)
        {
            BlockAnswer written = await pool.WriteAsync(Samples.Write(1), memory, default, deadline, token);
            BlockAnswer read = await pool.ReadAsync(Samples.Read(1, 0, memory.Length), memory, default, deadline, token);
            if (!written.IsOk || !read.IsOk) { Assert.Fail($"{written} {read} {pool.LastFailure}"); }
        }
    }
}
