using KvFs.Core;

namespace KvFs.Client.Tests;

public sealed class BufferPoolTests
{
    [Theory]
    [InlineData(1, 4096)]
    [InlineData(4096, 4096)]
    [InlineData(4097, 16 << 10)]
    [InlineData(65536, 65536)]
    [InlineData(65537, 256 << 10)]
    [InlineData((1 << 20) + 1, 4 << 20)]
    public void A_buffer_is_of_the_smallest_size_that_fits(int asked, int given)
    {
        using BufferPool pool = new(8 << 20);
        Assert.Equal(given, pool.TryRent(asked)!.Capacity);
    }

    [Fact]
    public void Memory_that_is_out_is_bounded_and_comes_back_in_any_size()
    {
        using BufferPool pool = new(8 << 20);
        List<PoolBuffer> small = [];
        while (pool.TryRent(4096) is { } buffer) { small.Add(buffer); }
        Assert.Equal(2048, small.Count);
        Assert.Equal(8 << 20, pool.RentedBytes);
        Assert.Null(pool.TryRent(1));

        foreach (PoolBuffer buffer in small) { pool.Return(buffer); }
        Assert.Equal(0, pool.RentedBuffers);
        Assert.NotNull(pool.TryRent(4 << 20));
        Assert.NotNull(pool.TryRent(4 << 20));
        Assert.Null(pool.TryRent(4 << 20));
    }

    [Fact]
    public void Buffers_that_are_out_never_share_a_byte_and_lie_on_pages()
    {
        using BufferPool pool = new(16 << 20);
        Random random = new(1);
        Dictionary<PoolBuffer, byte> held = [];
        for (int step = 0; step < 4000; step++)
        {
            if (random.Next(2) == 0 && pool.TryRent(1 << random.Next(10, 23)) is { } buffer)
            {
                byte mark = (byte)random.Next(256);
                buffer.Span.Fill(mark);
                Assert.True(held.TryAdd(buffer, mark));
                Assert.Equal(0, PageOffset(buffer));
            }
            else if (held.Count > 0)
            {
                PoolBuffer returned = held.Keys.ElementAt(random.Next(held.Count));
                Assert.True(returned.Span.IndexOfAnyExcept(held[returned]) < 0);
                held.Remove(returned);
                pool.Return(returned);
            }
        }

        Assert.Equal(held.Count, pool.RentedBuffers);
    }

    [Fact]
    public void A_buffer_that_is_returned_twice_is_a_bug()
    {
        using BufferPool pool = new(4 << 20);
        PoolBuffer buffer = pool.TryRent(1)!;
        pool.Return(buffer);
        Assert.Throws<InvariantException>(() => pool.Return(buffer));
    }

    private static unsafe long PageOffset(PoolBuffer buffer)
    {
        // Safe: the address is only looked at.
        fixed (byte* start = buffer.Span) { return (nint)start % 4096; }
    }
}
