using FsCheck;
using FsCheck.Fluent;

namespace KvFs.Core.Tests.Storage;

public class BuddyAllocatorTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public void Blocks_of_the_classes_pack_without_a_gap()
    {
        BuddyAllocator allocator = Grown(2);
        List<Extent> extents = [];
        for (int i = 0; i < 4; i++) { Assert.True(allocator.TryAllocate(4 * MiB, 8, extents)); }
        for (int i = 0; i < 16; i++) { Assert.True(allocator.TryAllocate(MiB, 8, extents)); }
        Assert.Equal(0, allocator.FreeBytes);
        Assert.False(allocator.TryAllocate(1, 8, extents));
        Assert.Equal(20, extents.Distinct().Count());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData((5 * MiB) + 8192)]
    [InlineData(16 * MiB)]
    public void A_length_gets_one_run_and_wastes_less_than_a_unit(int bytes)
    {
        BuddyAllocator allocator = Grown(1);
        List<Extent> extents = [];
        Assert.True(allocator.TryAllocate(bytes, 8, extents));
        Extent only = Assert.Single(extents);
        Assert.InRange(only.Length - bytes, 0, Extent.UnitBytes - 1);
        Assert.Equal(allocator.CapacityBytes - only.Length, allocator.FreeBytes);
    }

    [Fact]
    public void A_fragmented_space_gives_pieces_only_to_who_takes_them()
    {
        BuddyAllocator allocator = Grown(1);
        List<Extent> all = [];
        while (allocator.TryAllocate(Extent.UnitBytes, 1, all))
        {
        }

        foreach (Extent extent in all.Where(static extent => extent.Start % 2 == 0)) { allocator.Free(extent); }
        List<Extent> extents = [];
        Assert.False(allocator.TryAllocate(MiB, 8, extents));
        Assert.Empty(extents);
        Assert.Equal(8L * MiB, allocator.FreeBytes);
        Assert.True(allocator.TryAllocate(MiB, 4096, extents));
        Assert.Equal(256, extents.Count);
        Assert.Equal(7L * MiB, allocator.FreeBytes);
    }

    [Fact]
    public void Freeing_twice_and_freeing_what_is_not_there_are_bugs()
    {
        BuddyAllocator allocator = Grown(1);
        List<Extent> extents = [];
        Assert.True(allocator.TryAllocate(8192, 8, extents));
        allocator.Free(extents[0]);
        Assert.Throws<InvariantException>(() => allocator.Free(extents[0]));
        Assert.Throws<InvariantException>(() => allocator.Free(new Extent(4095, 2)));
    }

    [Fact]
    public void Reserving_refuses_overlap_and_what_lies_outside()
    {
        BuddyAllocator allocator = Grown(1);
        Assert.True(allocator.TryReserve(new Extent(10, 20)));
        Assert.False(allocator.TryReserve(new Extent(29, 1)));
        Assert.False(allocator.TryReserve(new Extent(0, 4096)));
        Assert.False(allocator.TryReserve(new Extent(4090, 10)));
        Assert.False(allocator.TryReserve(new Extent(uint.MaxValue, 1)));
        Assert.False(allocator.TryReserve(new Extent(1, 0)));
        Assert.True(allocator.TryReserve(new Extent(0, 10)));
        Assert.Equal((4096 - 30) * 4096L, allocator.FreeBytes);
    }

    [Fact]
    public void Free_chunks_at_the_end_can_be_given_back()
    {
        BuddyAllocator allocator = Grown(4);
        Assert.True(allocator.TryReserve(new Extent(4096, 1)));
        Assert.Equal(2, allocator.TrailingFreeChunks);
        allocator.Shrink(2);
        Assert.Equal(2, allocator.ChunkCount);
        Assert.Throws<InvariantException>(() => allocator.Shrink(1));
        allocator.Free(new Extent(4096, 1));
        allocator.Shrink(2);
        Assert.Equal(0, allocator.FreeBytes);
        Assert.False(allocator.TryGrow(BuddyAllocator.MaxChunks + 1));
    }

    /// <summary>Random sequences against a plain array of units: same bytes free, never one given twice, buddies counted
    /// as the definition says, and the same after a checkpoint.</summary>
    [Fact]
    public void It_agrees_with_a_naive_model()
    {
        Prop.ForAll<int>(static seed =>
        {
            Random chance = new(seed);
            BuddyAllocator allocator = Grown(2);
            List<bool> used = [.. new bool[2 * 4096]];
            List<List<Extent>> blocks = [];
            for (int step = 0; step < 120; step++) { Step(chance, allocator, used, blocks); }

            CheckBuddies(allocator, used);
            ByteBuffer saved = new();
            BitmapCheckpoint.Write(default, 3, allocator, saved);
            Assert.Equal(Status.Ok, BitmapCheckpoint.Read(saved.Span, default, out _, out BuddyAllocator loaded));
            CheckBuddies(loaded, used);
            CheckBuddies(allocator.Clone(), used);
            return loaded.FreeBytes == allocator.FreeBytes;
        }).QuickCheckThrowOnFailure();
    }

    private static void Step(Random chance, BuddyAllocator allocator, List<bool> used, List<List<Extent>> blocks)
    {
        if (blocks.Count > 0 && chance.Next(5) < 2)
        {
            int victim = chance.Next(blocks.Count);
            foreach (Extent extent in blocks[victim])
            {
                allocator.Free(extent);
                for (long unit = extent.Start; unit < extent.End; unit++) { used[(int)unit] = false; }
            }

            blocks.RemoveAt(victim);
            return;
        }

        int bytes = chance.Next(1, chance.Next(4) == 0 ? 16 * MiB : 200_000);
        List<Extent> extents = [];
        long free = used.Count(static isUsed => !isUsed);
        bool given = allocator.TryAllocate(bytes, 4096, extents);
        Assert.Equal(free >= Extent.UnitsOf(bytes), given);
        if (!given) { return; }
        Assert.Equal(Extent.UnitsOf(bytes), extents.Sum(static extent => (long)extent.Count));
        foreach (Extent extent in extents)
        {
            for (long unit = extent.Start; unit < extent.End; unit++)
            {
                Assert.False(used[(int)unit]);
                used[(int)unit] = true;
            }
        }

        Assert.Equal((free - Extent.UnitsOf(bytes)) * Extent.UnitBytes, allocator.FreeBytes);
        blocks.Add(extents);
    }

    private static void CheckBuddies(BuddyAllocator allocator, List<bool> used)
    {
        long[] expected = new long[13];
        for (int start = 0; start < used.Count;)
        {
            int order = used[start] ? -1 : 0;
            while (order is >= 0 and < 12 && start % (2 << order) == 0
                && used.Skip(start).Take(2 << order).All(static isUsed => !isUsed))
            {
                order++;
            }

            if (order >= 0) { expected[order]++; }
            start += order < 0 ? 1 : 1 << order;
        }

        Assert.Equal(expected, allocator.CountFreeBuddies());
    }

    private static BuddyAllocator Grown(int chunks)
    {
        BuddyAllocator allocator = new();
        Assert.True(allocator.TryGrow(chunks));
        return allocator;
    }
}
