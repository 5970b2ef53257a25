using static KvFs.RocksDb.Tests.TestBytes;

namespace KvFs.RocksDb.Tests;

public sealed class IteratorTests
{
    [Fact]
    public void Both_directions_meet_every_key_in_byte_order()
    {
        using TestDatabase test = Filled("b", "a", "ÿ", "c", "aa");
        using RocksIterator iterator = test.Database.CreateIterator(test.Default);
        Assert.Equal(["a", "aa", "b", "c", "ÿ"], Forward(iterator));
        Assert.Equal(["ÿ", "c", "b", "aa", "a"], Backward(iterator));
    }

    [Fact]
    public void Seek_finds_the_next_key_and_SeekForPrev_the_one_before()
    {
        using TestDatabase test = Filled("b", "d");
        using RocksIterator iterator = test.Database.CreateIterator(test.Default);
        iterator.Seek("c"u8);
        Assert.Equal("d", iterator.Key.Text());
        Assert.Equal("value of d", iterator.Value.Text());
        iterator.SeekForPrev("c"u8);
        Assert.Equal("b", iterator.Key.Text());
        iterator.Seek("d"u8);
        Assert.Equal("d", iterator.Key.Text());
        iterator.SeekForPrev("b"u8);
        Assert.Equal("b", iterator.Key.Text());
        iterator.Seek("e"u8);
        Assert.False(iterator.IsValid);
        iterator.SeekForPrev("a"u8);
        Assert.False(iterator.IsValid);
        iterator.Seek(default);
        Assert.Equal("b", iterator.Key.Text());
        iterator.ThrowIfFailed();
    }

    [Fact]
    public void Bounds_hide_what_lies_outside_even_after_their_source_has_changed()
    {
        using TestDatabase test = Filled("a", "b", "c", "d", "e");
        byte[] lower = "b".B();
        byte[] upper = "d".B();
        using RocksIterator iterator = test.Database.CreateIterator(
            test.Default, new ReadOptions { LowerBound = lower, UpperBound = upper });
        Array.Clear(lower);
        Array.Clear(upper);
        GC.Collect();
        Assert.Equal(["b", "c"], Forward(iterator));
        Assert.Equal(["c", "b"], Backward(iterator));
        iterator.Seek("a"u8);
        Assert.Equal("b", iterator.Key.Text());
        iterator.Seek("d"u8);
        Assert.False(iterator.IsValid);
    }

    [Fact]
    public void One_bound_alone_is_enough()
    {
        using TestDatabase test = Filled("a", "b", "c");
        using RocksIterator from = test.Database.CreateIterator(test.Default, new ReadOptions { LowerBound = "b"u8 });
        using RocksIterator to = test.Database.CreateIterator(test.Default, new ReadOptions { UpperBound = "b"u8 });
        Assert.Equal(["b", "c"], Forward(from));
        Assert.Equal(["a"], Forward(to));
    }

    [Fact]
    public void An_iterator_sees_the_state_at_the_time_it_was_made()
    {
        using TestDatabase test = Filled("a", "b");
        using RocksIterator iterator = test.Database.CreateIterator(test.Default);
        test.Database.PutText("c", "late");
        test.Database.Delete(test.Default, "a"u8);
        test.Database.Flush(test.Default);
        test.Database.CompactRange(test.Default, rewriteBottommost: true);
        Assert.Equal(["a", "b"], Forward(iterator));
    }

    [Fact]
    public void An_iterator_over_a_snapshot_outlives_it()
    {
        using TestDatabase test = Filled("a");
        RocksSnapshot snapshot = test.Database.CreateSnapshot();
        test.Database.PutText("b", "late");
        using RocksIterator iterator = test.Database.CreateIterator(
            test.Default, new ReadOptions { Snapshot = snapshot });
        snapshot.Dispose();
        test.Database.Delete(test.Default, "a"u8);
        test.Database.CompactRange(test.Default, rewriteBottommost: true);
        Assert.Equal(["a"], Forward(iterator));
    }

    [Fact]
    public void Where_there_is_no_key_nothing_is_read_and_nothing_moves()
    {
        using TestDatabase test = Filled("a");
        using RocksIterator iterator = test.Database.CreateIterator(test.Default);
        Assert.False(iterator.IsValid);
        Assert.Throws<InvalidOperationException>(() => iterator.Key.Length);
        Assert.Throws<InvalidOperationException>(() => iterator.Value.Length);
        Assert.Throws<InvalidOperationException>(iterator.Next);
        Assert.Throws<InvalidOperationException>(iterator.Prev);
        iterator.SeekToFirst();
        iterator.Next();
        Assert.False(iterator.IsValid);
        Assert.Throws<InvalidOperationException>(iterator.Next);
        iterator.ThrowIfFailed();
    }

    [Fact]
    public void An_iterator_within_a_prefix_ends_with_it_and_one_in_total_order_goes_on()
    {
        ColumnFamilyOptions prefixed = new("prefixed")
        {
            PrefixBytes = 2,
            BloomBitsPerKey = 10,
            MemtablePrefixBloomRatio = 0.1,
        };
        using TestDatabase test = new(null, prefixed);
        ColumnFamily family = test.Database.Family("prefixed");
        foreach (string key in (string[])["aa1", "aa2", "bb1"]) { test.Database.Put(family, key.B(), key.B()); }
        test.Database.Flush(family);
        test.Database.Put(family, "aa3"u8, "aa3"u8);

        using RocksIterator within = test.Database.CreateIterator(family, new ReadOptions { WithinPrefix = true });
        within.Seek("aa"u8);
        Assert.Equal(["aa1", "aa2", "aa3"], Rest(within));
        using RocksIterator total = test.Database.CreateIterator(family, new ReadOptions { TotalOrder = true });
        total.Seek("ab"u8);
        Assert.Equal(["bb1"], Rest(total));
    }

    [Fact]
    public void A_scan_that_does_not_fill_the_cache_leaves_it_as_it_was()
    {
        using BlockCache cache = new(8 << 20);
        using TestDatabase test = new(new RocksOptions { BlockCache = cache });
        for (int i = 0; i < 2_000; i++) { test.Database.PutText($"key {i:d5}", new string('v', 200)); }
        test.Database.Flush(test.Default);
        long before = cache.Usage;
        using (RocksIterator iterator = test.Database.CreateIterator(
            test.Default, new ReadOptions { FillCache = false, ReadAheadBytes = 1 << 16, VerifyChecksums = false }))
        {
            Assert.Equal(2_000, Forward(iterator).Count);
        }
        Assert.Equal(before, cache.Usage);
        using (RocksIterator iterator = test.Database.CreateIterator(test.Default))
        {
            Assert.Equal(2_000, Forward(iterator).Count);
        }
        Assert.True(cache.Usage > before + 300_000, $"{before} -> {cache.Usage}");
    }

    private static TestDatabase Filled(params string[] keys)
    {
        TestDatabase test = new();
        foreach (string key in keys) { test.Database.PutText(key, $"value of {key}"); }
        return test;
    }

    private static List<string> Forward(RocksIterator iterator)
    {
        iterator.SeekToFirst();
        return Rest(iterator);
    }

    private static List<string> Rest(RocksIterator iterator)
    {
        List<string> keys = [];
        for (; iterator.IsValid; iterator.Next()) { keys.Add(iterator.Key.Text()); }
        iterator.ThrowIfFailed();
        return keys;
    }

    private static List<string> Backward(RocksIterator iterator)
    {
        List<string> keys = [];
        for (iterator.SeekToLast(); iterator.IsValid; iterator.Prev()) { keys.Add(iterator.Key.Text()); }
        iterator.ThrowIfFailed();
        return keys;
    }
}
