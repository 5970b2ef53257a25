using System.Buffers.Binary;

namespace KvFs.RocksDb.Tests;

public sealed class WriteBatchTests
{
    [Fact]
    public void A_batch_shows_only_once_it_is_written_and_then_whole()
    {
        using TestDatabase test = new(null, new ColumnFamilyOptions("ns"));
        ColumnFamily ns = test.Database.Family("ns");
        foreach (string key in (string[])["a", "b", "c", "d"]) { test.Database.PutText(key, "old"); }
        using WriteBatch batch = new();
        batch.Put(ns, "n"u8, "1"u8);
        batch.Delete(test.Default, "a"u8);
        batch.DeleteRange(test.Default, "b"u8, "d"u8);
        batch.Put(test.Default, "c"u8, "again"u8);
        Assert.Equal(4, batch.Count);
        Assert.Null(test.Database.GetText("n", ns));
        test.Database.Write(batch, WriteFlags.Sync);
        Assert.Equal("1", test.Database.GetText("n", ns));
        Assert.Null(test.Database.GetText("a"));
        Assert.Null(test.Database.GetText("b"));
        Assert.Equal("again", test.Database.GetText("c"));
        Assert.Equal("old", test.Database.GetText("d"));
    }

    [Fact]
    public void Bytes_for_the_log_alone_are_in_the_batch_and_change_nothing()
    {
        using TestDatabase test = new();
        using WriteBatch batch = new();
        batch.PutLogData("note"u8);
        batch.Put(test.Default, "k"u8, "v"u8);
        Assert.Equal(1, batch.Count);
        Assert.Equal([3, 4, .. "note"u8], batch.Data.Slice(WriteBatch.HeaderBytes, 6).ToArray());
        test.Database.Write(batch);
        Assert.Equal("v", test.Database.GetText("k"));
        Assert.Null(test.Database.GetText("note"));
    }

    [Fact]
    public void A_batch_holds_changes_of_one_database_and_is_written_only_there()
    {
        using TestDatabase one = new();
        using TestDatabase two = new();
        using WriteBatch batch = new();
        batch.Put(one.Default, "k"u8, "v"u8);
        Assert.Throws<ArgumentException>(() => batch.Put(two.Default, "k"u8, "v"u8));
        Assert.Throws<ArgumentException>(() => batch.Delete(two.Default, "k"u8));
        Assert.Throws<ArgumentException>(() => batch.DeleteRange(two.Default, "k"u8, "l"u8));
        Assert.Throws<ArgumentException>(() => two.Database.Write(batch));
        Assert.Equal(1, batch.Count);
        batch.Clear();
        batch.Put(two.Default, "k"u8, "w"u8);
        two.Database.Write(batch);
        Assert.Equal("w", two.Database.GetText("k"));
        Assert.Null(one.Database.GetText("k"));
    }

    [Fact]
    public void A_torn_log_brings_a_batch_back_whole_or_not_at_all()
    {
        using TestDatabase test = new();
        using WriteBatch batch = new();
        for (int i = 0; i < 50; i++) { batch.Put(test.Default, [(byte)i], new byte[20]); }
        test.Database.Write(batch);
        int whole = 0;
        int absent = 0;
        long length = new FileInfo(Directory.GetFiles(test.Folder["db"], "*.log").Single()).Length;
        for (long cut = 0; cut <= length; cut += 97)
        {
            string name = $"cut-{cut}";
            string copy = test.Folder.Copy("db", name);
            using (FileStream log = File.OpenWrite(Directory.GetFiles(copy, "*.log").Single())) { log.SetLength(cut); }
            using RocksDatabase database = RocksDatabase.Open(copy, new RocksOptions(), []);
            int found = Enumerable.Range(0, 50).Count(i => database.Get(database.DefaultFamily, [(byte)i]) is not null);
            Assert.True(found is 0 or 50, $"cut at {cut}: {found} of 50 keys");
            if (found == 0) { absent++; } else { whole++; }
        }
        using RocksDatabase uncut = RocksDatabase.Open(test.Folder.Copy("db", "uncut"), new RocksOptions(), []);
        Assert.NotNull(uncut.Get(uncut.DefaultFamily, [0]));
        Assert.True(absent > 0 && absent + whole > 10);
    }

    [Fact]
    public void An_empty_batch_may_be_written()
    {
        using TestDatabase test = new();
        using WriteBatch batch = new();
        Assert.Equal(0, batch.Count);
        Assert.Equal(WriteBatch.HeaderBytes, batch.DataSize);
        ulong before = test.Database.LatestSequenceNumber;
        test.Database.Write(batch);
        test.Database.Write(batch, WriteFlags.Sync);
        Assert.Equal(before, test.Database.LatestSequenceNumber);
    }

    [Fact]
    public void A_cleared_batch_is_empty_and_may_be_filled_again()
    {
        using TestDatabase test = new();
        using WriteBatch batch = new();
        batch.Put(test.Default, "a"u8, "1"u8);
        batch.Clear();
        Assert.Equal(0, batch.Count);
        Assert.Equal(WriteBatch.HeaderBytes, batch.DataSize);
        batch.Put(test.Default, "b"u8, default);
        test.Database.Write(batch);
        Assert.Null(test.Database.GetText("a"));
        Assert.Equal("", test.Database.GetText("b"));
    }

    [Fact]
    public void The_data_of_a_batch_is_its_header_and_its_records()
    {
        using TestDatabase test = new();
        using WriteBatch batch = new();
        batch.Put(test.Default, "some key"u8, "some value"u8);
        Assert.Equal(batch.DataSize, batch.Data.Length);
        Assert.Equal(1, BinaryPrimitives.ReadInt32LittleEndian(batch.Data[8..]));
        Assert.True(batch.Data[WriteBatch.HeaderBytes..].IndexOf("some key"u8) > 0);
        Assert.True(batch.Data.EndsWith("some value"u8));
    }
}
