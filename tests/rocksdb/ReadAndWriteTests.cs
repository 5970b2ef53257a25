using static KvFs.RocksDb.Tests.TestBytes;

namespace KvFs.RocksDb.Tests;

public sealed class ReadAndWriteTests
{
    [Fact]
    public void What_was_put_is_got_until_it_is_deleted()
    {
        using TestDatabase test = new();
        test.Database.PutText("a", "1");
        Assert.Equal("1", test.Database.GetText("a"));
        Assert.Null(test.Database.GetText("b"));
        test.Database.Delete(test.Default, "a"u8);
        Assert.Null(test.Database.GetText("a"));
        test.Database.Delete(test.Default, "never there"u8);
    }

    [Fact]
    public void A_deleted_range_ends_before_its_end()
    {
        using TestDatabase test = new();
        foreach (string key in (string[])["a", "b", "c"]) { test.Database.PutText(key, key); }
        test.Database.DeleteRange(test.Default, "a"u8, "c"u8);
        Assert.Null(test.Database.GetText("a"));
        Assert.Null(test.Database.GetText("b"));
        Assert.Equal("c", test.Database.GetText("c"));
    }

    [Fact]
    public void Families_are_separate_key_spaces()
    {
        using TestDatabase test = new(null, new ColumnFamilyOptions("ns"), new ColumnFamilyOptions("block"));
        ColumnFamily ns = test.Database.Family("ns");
        ColumnFamily block = test.Database.Family("block");
        test.Database.Put(ns, "k"u8, "in ns"u8);
        test.Database.Put(block, "k"u8, "in block"u8);
        Assert.Equal("in ns", test.Database.GetText("k", ns));
        Assert.Equal("in block", test.Database.GetText("k", block));
        Assert.Null(test.Database.GetText("k"));
        Assert.Equal(["ns", "block", "default"], test.Database.Families.Select(family => family.Name));
        Assert.Equal(3, test.Database.Families.Select(family => family.Id).Distinct().Count());
        Assert.Throws<ArgumentException>(() => test.Database.Family("sys"));
    }

    [Fact]
    public void Empty_keys_and_values_are_values()
    {
        using TestDatabase test = new();
        test.Database.Put(test.Default, "k"u8, default);
        test.Database.Put(test.Default, default, "of the empty key"u8);
        Assert.Empty(test.Database.Get(test.Default, "k"u8)!);
        Assert.Equal(0, test.Database.Get(test.Default, "k"u8, []));
        Assert.True(test.Database.TryGetPinned(test.Default, "k"u8, out PinnedValue pinned));
        using (pinned) { Assert.True(pinned.Span.IsEmpty); }
        Assert.Equal("of the empty key", test.Database.Get(test.Default, default).Text());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_value_of_a_mebibyte_comes_back_whole(bool flushed)
    {
        using TestDatabase test = new();
        byte[] value = new byte[1 << 20];
        new Random(1).NextBytes(value);
        test.Database.Put(test.Default, "big"u8, value);
        if (flushed) { test.Database.Flush(test.Default); }
        Assert.True(test.Database.TryGetPinned(test.Default, "big"u8, out PinnedValue pinned));
        using (pinned) { Assert.True(pinned.Span.SequenceEqual(value)); }
        Assert.Equal(value, test.Database.Get(test.Default, "big"u8));
    }

    [Fact]
    public void A_get_into_a_short_buffer_copies_the_start_and_tells_the_length()
    {
        using TestDatabase test = new();
        test.Database.PutText("k", "0123456789");
        byte[] buffer = new byte[4];
        Assert.Equal(10, test.Database.Get(test.Default, "k"u8, buffer.AsSpan()));
        Assert.Equal("0123", buffer.Text());
        byte[] large = new byte[16];
        Assert.Equal(10, test.Database.Get(test.Default, "k"u8, large.AsSpan()));
        Assert.Equal("0123456789", large.AsSpan(0, 10).ToArray().Text());
        Assert.Equal(RocksDatabase.Absent, test.Database.Get(test.Default, "x"u8, buffer.AsSpan()));
    }

    [Fact]
    public void A_pinned_value_stays_what_it_was_when_the_key_is_overwritten()
    {
        using TestDatabase test = new();
        test.Database.PutText("k", "old");
        test.Database.Flush(test.Default);
        Assert.True(test.Database.TryGetPinned(test.Default, "k"u8, out PinnedValue pinned));
        using (pinned)
        {
            test.Database.PutText("k", "new");
            test.Database.Flush(test.Default);
            test.Database.CompactRange(test.Default, rewriteBottommost: true);
            Assert.Equal("old", pinned.Span.Text());
        }
        Assert.Equal("new", test.Database.GetText("k"));
    }

    [Fact]
    public void An_absent_pinned_value_is_empty_and_free_to_dispose()
    {
        using TestDatabase test = new();
        Assert.False(test.Database.TryGetPinned(test.Default, "x"u8, out PinnedValue pinned));
        Assert.True(pinned.Span.IsEmpty);
        pinned.Dispose();
        pinned.Dispose();
    }

    [Fact]
    public void A_snapshot_sees_nothing_that_was_written_later()
    {
        using TestDatabase test = new(null, new ColumnFamilyOptions("ns"));
        ColumnFamily ns = test.Database.Family("ns");
        test.Database.PutText("k", "before");
        using RocksSnapshot snapshot = test.Database.CreateSnapshot();
        test.Database.PutText("k", "after");
        test.Database.Put(ns, "new"u8, "1"u8);
        test.Database.Flush(test.Default);
        test.Database.CompactRange(test.Default, rewriteBottommost: true);

        Assert.Equal("before", test.Database.Get(test.Default, "k"u8, snapshot).Text());
        Assert.Null(test.Database.Get(ns, "new"u8, snapshot));
        Assert.True(test.Database.TryGetPinned(test.Default, "k"u8, out PinnedValue pinned, snapshot));
        using (pinned) { Assert.Equal("before", pinned.Span.Text()); }
        byte[] buffer = new byte[6];
        Assert.Equal(6, test.Database.Get(test.Default, "k"u8, buffer.AsSpan(), snapshot));
        Assert.Equal("before", buffer.Text());
        using RocksIterator iterator = test.Database.CreateIterator(ns, new ReadOptions { Snapshot = snapshot });
        iterator.SeekToFirst();
        Assert.False(iterator.IsValid);
        Assert.Equal("after", test.Database.GetText("k"));
    }

    [Fact]
    public void Every_operation_takes_a_sequence_number()
    {
        using TestDatabase test = new();
        ulong before = test.Database.LatestSequenceNumber;
        using WriteBatch batch = new();
        batch.Put(test.Default, "a"u8, "1"u8);
        batch.Delete(test.Default, "b"u8);
        test.Database.Write(batch);
        Assert.Equal(before + 2, test.Database.LatestSequenceNumber);
    }

    [Fact]
    public void Families_and_snapshots_of_another_database_are_refused()
    {
        using TestDatabase one = new();
        using TestDatabase two = new();
        using RocksSnapshot snapshot = two.Database.CreateSnapshot();
        Assert.Throws<ArgumentException>(() => one.Database.Put(two.Default, "k"u8, "v"u8));
        Assert.Throws<ArgumentException>(() => one.Database.Get(two.Default, "k"u8));
        Assert.Throws<ArgumentException>(() => one.Database.Get(one.Default, "k"u8, snapshot));
        Assert.Throws<ArgumentException>(
            () => one.Database.CreateIterator(one.Default, new ReadOptions { Snapshot = snapshot }));
        Assert.Throws<ArgumentException>(() => one.Database.CreateIterator(two.Default));
    }

    [Fact]
    public void Unknown_and_contradictory_write_flags_are_refused()
    {
        using TestDatabase test = new();
        Assert.Throws<ArgumentOutOfRangeException>(() => test.Database.PutText("k", "v", (WriteFlags)4));
        Assert.Throws<ArgumentOutOfRangeException>(() => test.Database.PutText("k", "v", (WriteFlags)(-1)));
        Fails(RocksErrorCode.InvalidArgument,
            () => test.Database.PutText("k", "v", WriteFlags.Sync | WriteFlags.DisableWal));
        Assert.Null(test.Database.GetText("k"));
    }
}
