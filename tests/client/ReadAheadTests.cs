using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

public sealed class ReadAheadTests
{
    private const int Size = 48 << 20;

    private static readonly ClientOptions Threads = ClientWorld.Still with
    {
        ReadAheadThreads = 2,
        ReadAheadBytes = 32 << 20,
        DirtyBytes = 64 << 20,
    };

    [Fact]
    public async Task A_stream_is_read_ahead_in_whole_chunks_and_reads_right()
    {
        await using ClientWorld world = new(Threads);
        (OpenFile file, byte[] data) = await Stored(world);
        int before = world.Blocks.Reads;
        for (int at = 0; at < Size; at += 128 << 10)
        {
            ClientWorld.CheckSame(data[at..(at + (128 << 10))], await world.Read(file, (ulong)at, 128 << 10));
        }

        // Without read-ahead it would be one read of a block per request.
        Assert.InRange(world.Blocks.Reads - before, Size >> 20, Size >> 18);
    }

    [Fact]
    public async Task Random_reads_never_read_ahead()
    {
        await using ClientWorld world = new(Threads);
        (OpenFile file, byte[] data) = await Stored(world);
        Random random = new(5);
        int before = world.Blocks.Reads;
        for (int i = 0; i < 1000; i++)
        {
            int at = random.Next(Size - 4096);
            byte[] read = await world.Read(file, (ulong)at, 4096);
            Assert.True(read.AsSpan().SequenceEqual(data.AsSpan(at, 4096)));
        }

        Assert.Equal(0, world.Client.ReadAheadBuffers);
        Assert.InRange(world.Blocks.Reads - before, 1000, 1010);
    }

    [Fact]
    public async Task What_is_read_ahead_is_bounded_and_stays_right_while_the_file_changes()
    {
        await using ClientWorld world = new(Threads with { ReadAheadBytes = 4 << 20 });
        (OpenFile file, byte[] data) = await Stored(world);
        for (int at = 0; at < Size; at += 256 << 10)
        {
            ClientWorld.CheckSame(data[at..(at + (256 << 10))], await world.Read(file, (ulong)at, 256 << 10));
            Assert.InRange(world.Client.ReadAheadBuffers, 0, 4);
            int ahead = Math.Min(Size - 5000, at + (700 << 10));
            byte[] patch = ClientWorld.Bytes(5000, at);
            patch.CopyTo(data, ahead);
            await world.Write(file, (ulong)ahead, patch);
            if (at % (1 << 20) == 0) { Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file)); }
        }
    }

    [Fact]
    public async Task Several_streams_at_once_read_right()
    {
        await using ClientWorld world = new(Threads);
        (OpenFile file, byte[] data) = await Stored(world);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(reader => Task.Run(async () =>
        {
            OpenFile own = await world.Open(file.Id);
            for (int at = 0; at < Size; at += 512 << 10)
            {
                byte[] read = await world.Read(own, (ulong)at, 512 << 10);
                Assert.True(read.AsSpan().SequenceEqual(data.AsSpan(at, 512 << 10)));
            }

            await world.Client.CloseAsync(own);
        })));
    }

    [Fact]
    public async Task What_was_lent_stays_as_it_is_until_it_is_given_back()
    {
        const int Part = 1 << 20;
        await using ClientWorld world = new(Threads with { ReadAheadBytes = 4 << 20 });
        (OpenFile file, byte[] data) = await Stored(world);
        byte[] own = new byte[Part];
        List<(int At, FoundBytes Found)> held = [];
        while (held.Count == 0)
        {
            for (int at = 0; at < Size; at += Part)
            {
                own.AsSpan().Clear();
                Reply<FoundBytes> reply = await world.Client.ReadOrLendAsync(file, (ulong)at, own);
                FoundBytes found = reply.Value;
                Assert.Equal(Part, found.Length);
                Assert.True((found.IsLent ? found.Lent : own).SequenceEqual(data.AsSpan(at, Part)));

                // One stays with the readers ahead.
                if (found.IsLent && held.Count < 3) { held.Add((at, found)); }
                else { found.Dispose(); }
            }
        }

        Assert.InRange(world.Client.ReadAheadBuffers, held.Count, 4);
        Assert.All(held, lent => Assert.True(lent.Found.Lent.SequenceEqual(data.AsSpan(lent.At, Part))));
        held.ForEach(static lent => lent.Found.Dispose());
    }

    [Fact]
    public async Task A_read_that_reaches_from_one_chunk_into_the_next_reads_right()
    {
        await using ClientWorld world = new(Threads);
        (OpenFile file, byte[] data) = await Stored(world);
        for (int at = 0; at < Size; at += 700_000)
        {
            int length = Math.Min(700_000, Size - at);
            ClientWorld.CheckSame(data[at..(at + length)], await world.Read(file, (ulong)at, length));
        }
    }

    private static async Task<(OpenFile File, byte[] Data)> Stored(ClientWorld world)
    {
        OpenFile file = await world.Create("a");
        byte[] data = ClientWorld.Bytes(Size, 3);
        for (int at = 0; at < Size; at += 1 << 20) { await world.Write(file, (ulong)at, data[at..(at + (1 << 20))]); }
        Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file));
        return (file, data);
    }
}
