using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

/// <summary>Several threads, a session that answers from other threads, little memory.</summary>
public sealed class ConcurrencyTests
{
    private const int Workers = 4;
    private const int PageBytes = 4096;

    private static readonly ClientOptions Busy = new()
    {
        DirtyBytes = 8 << 20,
        ReadAheadBytes = 4 << 20,
        BackgroundBytes = 1 << 20,
        FlushThreads = 3,
        ReadAheadThreads = 2,
        DirtyAge = TimeSpan.FromMilliseconds(5),
        TickInterval = TimeSpan.FromMilliseconds(2),
        ClosedFiles = 2,
    };

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public async Task Threads_that_share_a_file_each_find_their_own_pages_as_they_left_them(int seed, bool slow)
    {
        await using ClientWorld world = World(slow);
        OpenFile file = await world.Create("shared");
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
        {
            Random random = new((seed * 100) + worker);
            byte[]?[] pages = new byte[200][];
            for (int step = 0; step < 1500; step++)
            {
                int own = random.Next(pages.Length);
                ulong offset = ((ulong)own * Workers * PageBytes) + ((ulong)worker * PageBytes);
                if (random.Next(3) > 0)
                {
                    pages[own] = ClientWorld.Bytes(PageBytes, random.Next());
                    await world.Write(file, offset, pages[own]!);
                }
                else if (pages[own] is { } expected)
                {
                    ClientWorld.CheckSame(expected, await world.Read(file, offset, PageBytes));
                }

                if (step % 100 == 99) { Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file)); }
            }

            for (int own = 0; own < pages.Length; own++)
            {
                if (pages[own] is not { } expected) { continue; }
                ulong offset = ((ulong)own * Workers * PageBytes) + ((ulong)worker * PageBytes);
                ClientWorld.CheckSame(expected, await world.Read(file, offset, PageBytes));
            }
        })));
        await world.CheckClean();
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public async Task Threads_with_files_of_their_own_do_not_disturb_each_other(int seed, bool slow)
    {
        await using ClientWorld world = World(slow);
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
        {
            Random random = new((seed * 100) + worker);
            for (int life = 0; life < 12; life++) { await OneFile(world, $"f{worker}-{life}", random); }
        })));
        await world.CheckClean();
    }

    [Fact]
    public async Task Copies_in_opposite_directions_and_changes_of_the_whole_file_come_to_an_end()
    {
        await using ClientWorld world = World(slow: true);
        OpenFile first = await world.Create("a");
        OpenFile second = await world.Create("b");
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
        {
            (OpenFile from, OpenFile to) = worker % 2 == 0 ? (first, second) : (second, first);
            for (int step = 0; step < 60; step++)
            {
                await world.Write(from, 0, ClientWorld.Bytes(50_000, step));
                Reply<ulong> copied = await world.Client.CopyRangeAsync(
                    new(from.Id, CowNumber.Head, 0, to.Id, (ulong)step * 1000, 20_000));
                Assert.Equal(Status.Ok, copied.Status);
                Reply<NodeInfo> truncated = await world.Client.SetAttributesAsync(
                    new SetAttributesRequest { Node = to.Id, Mask = AttributeMask.Size, Size = 60_000 });
                Assert.Equal(Status.Ok, truncated.Status);
                if (step % 10 == 0) { Assert.Equal(Status.Ok, await world.Client.SyncAllAsync()); }
            }
        })));
        await world.CheckClean();
    }

    private static ClientWorld World(bool slow)
    {
        ClientWorld world = new(Busy, usesRealTime: true);
        world.Blocks.IsSlow = slow;
        return world;
    }

    private static async Task OneFile(ClientWorld world, string name, Random random)
    {
        OpenFile file = await world.Create(name);
        byte[] expected = [];
        for (int step = 0; step < 40; step++)
        {
            int length = random.Next(1, random.Next(2) == 0 ? 5_000 : 1_500_000);
            int offset = random.Next(expected.Length + 1);
            byte[] data = ClientWorld.Bytes(length, random.Next());
            await world.Write(file, (ulong)offset, data);
            if (offset + length > expected.Length) { Array.Resize(ref expected, offset + length); }
            data.CopyTo(expected, offset);
            if (expected.Length > 6_000_000)
            {
                Reply<NodeInfo> cut = await world.Client.SetAttributesAsync(
                    new SetAttributesRequest { Node = file.Id, Mask = AttributeMask.Size, Size = 1_000_000 });
                Assert.Equal(1_000_000UL, cut.Value.VNode.Size);
                Array.Resize(ref expected, 1_000_000);
            }

            Assert.Equal((ulong)expected.Length, (await world.Stat(file.Id)).Size);
            int at = random.Next(expected.Length);
            byte[] read = await world.Read(file, (ulong)at, Math.Min(100_000, expected.Length - at));
            Assert.True(read.AsSpan().SequenceEqual(expected.AsSpan(at, read.Length)));
            if (random.Next(10) == 0) { Assert.Equal(Status.Ok, await world.Client.FsyncAsync(file)); }
        }

        Assert.Equal(Status.Ok, await world.Client.CloseAsync(file));
        Reply<OpenFile> again = await world.Client.OpenAsync(file.Id, CowNumber.Head);
        byte[] all = await world.Read(again.Value, 0, expected.Length + 1);
        Assert.True(all.AsSpan().SequenceEqual(expected));
        Assert.Equal(Status.Ok, await world.Client.CloseAsync(again.Value));
    }
}
