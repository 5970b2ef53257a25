using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>Random reads and writes of many callers at once, over each transport, against a model.</summary>
public sealed class WorkloadTests
{
    private const int Callers = 12;
    private const int Steps = 60;

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    [InlineData("tls")]
    public Task What_is_read_is_what_was_written(string transport) => Seeds.RunAsync(async random =>
    {
        await using ChannelWorld world = new(transport, options => options with
        {
            ChunkBytes = 64 << 10 << random.Next(5),
            MaxRequests = random.Next(1, 40),
            WindowBytes = random.Next(2) == 0 ? 16 << 20 : 64 << 20,
            ConnectionReadBytes = random.Next(0, 4 << 20),
            CallThreads = random.Next(1, 8),
        });
        BlockChannelPool pool = world.Connections(ChannelWorld.ClientOptions with
        {
            ChunkBytes = 64 << 10 << random.Next(5),
            Connections = random.Next(1, 4),
        });
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => RunAsync(world, pool, caller, random.Next())));
    });

    private static async Task RunAsync(ChannelWorld world, BlockChannelPool pool, int caller, int seed)
    {
        await Task.Yield();
        Random random = new(seed);
        Dictionary<ulong, byte[]> model = [];
        for (int step = 0; step < Steps; step++)
        {
            ulong id = ((ulong)caller << 32) | (uint)random.Next(8);
            if (!model.TryGetValue(id, out byte[]? content) || random.Next(4) == 0)
            {
                byte[] fresh = Samples.Bytes(Length(random), random.Next());
                BlockAnswer answer = await WriteAsync(pool, id, fresh, random);
                Assert.Equal(content is null || content.AsSpan().SequenceEqual(fresh) ? Status.Ok : Status.Exists, answer.Status);
                content ??= model[id] = fresh;
                Assert.Equal(content, world.Blocks.Find(Samples.Name(id)));
            }
            else
            {
                await ReadAsync(pool, id, content, random);
            }
        }
    }

    private static async Task<BlockAnswer> WriteAsync(BlockChannelPool pool, ulong id, byte[] content, Random random)
    {
        uint[] checksums = [];
        if (random.Next(2) == 0)
        {
            checksums = new uint[BlockPieces.Count(0, content.Length)];
            BlockPieces.Checksum(0, content, checksums);
        }

        return await pool.WriteAsync(Samples.Write(id), content, checksums, Deadline.None, CancellationToken.None);
    }

    private static async Task ReadAsync(BlockChannelPool pool, ulong id, byte[] content, Random random)
    {
        int offset = random.Next(content.Length);
        int length = random.Next(1, content.Length - offset + 1);
        byte[] destination = new byte[length];
        uint[] checksums = new uint[BlockPieces.Count((uint)offset, length)];
        BlockAnswer answer = await pool.ReadAsync(
            Samples.Read(id, (uint)offset, length), destination, checksums, Deadline.None, CancellationToken.None);
        Assert.Equal(BlockAnswer.Ok, answer);
        Assert.True(content.AsSpan(offset, length).SequenceEqual(destination));
        uint[] expected = new uint[checksums.Length];
        BlockPieces.Checksum((uint)offset, destination, expected);
        Assert.Equal(expected, checksums);
    }

    /// <summary>Mostly small, sometimes as large as a block may be; often where units begin and end.</summary>
    private static int Length(Random random) => random.Next(10) switch
    {
        < 4 => random.Next(1, 10_000),
        < 7 => random.Next(1, 600_000),
        7 => (64 << 10) * random.Next(1, 40),
        8 => ((64 << 10) * random.Next(1, 40)) + random.Next(-1, 2),
        _ => random.Next(4) == 0 ? Limits.BlockBytes : random.Next(1, 5_000_000),
    };
}
