using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.RocksDb;

namespace KvFs.Node.Tests.Storage;

/// <summary>What the end and the middle of RocksDB's write-ahead log may look like at a start.</summary>
public sealed class WriteAheadLogTests : IDisposable
{
    private const int Writes = 500;

    /// <summary>The first ones are synced, each by itself.</summary>
    private const int Synced = 400;
    private const int ValueBytes = 700;

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-kv-");

    private string Database => Path.Combine(folder.FullName, "db");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void A_flipped_byte_in_the_middle_is_refused_and_changes_nothing()
    {
        string log = Write();
        byte[] whole = File.ReadAllBytes(log);
        Random random = new(5);
        for (int round = 0; round < 20; round++)
        {
            byte[] rotten = [.. whole];
            int at = random.Next((Synced - 60) * ValueBytes);
            rotten[at] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(log, rotten);
            StorageException refused = Assert.Throws<StorageException>(() => RocksKeyValueStore.Open(Database));
            Assert.Equal(Status.Corrupt, refused.Status);
            Assert.Contains(log, refused.Message, StringComparison.Ordinal);
            Assert.Equal(rotten, File.ReadAllBytes(log));
        }

        File.WriteAllBytes(log, whole);
        Assert.Equal(Writes, CountPrefix());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(400)]
    [InlineData(5000)]
    [InlineData(100_000)]
    public void A_cut_tail_is_where_the_log_ends(int bytes)
    {
        string log = Write();
        using (FileStream file = new(log, FileMode.Open)) { file.SetLength(file.Length - bytes); }
        Assert.InRange(CountPrefix(), Writes - (bytes / ValueBytes) - 2, Writes - 1);
    }

    [Theory]
    [InlineData(512, 1)]
    [InlineData(512, 100)]
    [InlineData(4096, 3)]
    [InlineData(4096, 15)]
    public void A_part_of_what_was_not_synced_that_was_never_written_is_where_the_log_ends(int unit, int unitsFromEnd)
    {
        string log = Write();
        using (FileStream file = new(log, FileMode.Open))
        {
            file.Position = (file.Length / unit * unit) - (unit * unitsFromEnd);
            file.Write(new byte[unit]);
        }

        Assert.InRange(CountPrefix(), Synced, Writes - 1);
    }

    [Fact]
    public void Whatever_became_of_what_was_not_synced_is_where_the_log_ends()
    {
        string log = Write();
        byte[] whole = File.ReadAllBytes(log);
        Random random = new(6);
        for (int round = 0; round < 20; round++)
        {
            byte[] torn = [.. whole];
            random.NextBytes(torn.AsSpan(whole.Length - random.Next((Writes - Synced - 1) * ValueBytes), 512));
            File.WriteAllBytes(log, torn);
            Assert.Null(WriteAheadLogCheck.Find(Database));
        }
    }

    /// <remarks>RocksDB overwrites logs only under another recovery mode; the layout is the same.</remarks>
    [Fact]
    public void What_an_earlier_log_left_in_an_overwritten_file_is_no_damage_and_rot_before_it_is()
    {
        RocksOptions options = new() { WalRecovery = WalRecoveryMode.SkipCorrupted, RecycledWalFiles = 2 };
        using RocksDatabase database = RocksDatabase.Open(Database, options, []);
        byte[] mark = new byte[WriteAheadLogCheck.MarkBytes];
        foreach (int writes in (int[])[Writes, Writes, Writes, Writes / 5])
        {
            database.Flush(database.DefaultFamily);
            for (int at = 0; at < writes; at++)
            {
                using WriteBatch batch = new();
                WriteAheadLogCheck.WriteMark(mark, database.LatestSequenceNumber);
                batch.PutLogData(mark);
                batch.Put(database.DefaultFamily, Key(at), DataFolder.Content(ValueBytes, at + 1));
                database.Write(batch, WriteFlags.Sync);
            }
        }

        // As a crash leaves it: an orderly end cuts the rest off.
        string last = Directory.GetFiles(Database, "*.log").Order(StringComparer.Ordinal).Last();
        string log = Path.Combine(folder.FullName, Path.GetFileName(last));
        File.Copy(last, log);
        byte[] bytes = File.ReadAllBytes(log);
        Assert.True(bytes.Length > Writes * ValueBytes);
        Assert.Null(WriteAheadLogCheck.Find(folder.FullName));

        int rotten = Writes / 10 * ValueBytes;
        bytes[rotten] ^= 1;
        File.WriteAllBytes(log, bytes);
        Assert.InRange(WriteAheadLogCheck.Find(folder.FullName)!.Value.Offset, rotten - (2 * ValueBytes), rotten);
    }

    [Fact]
    public void Zeros_behind_the_end_are_no_damage()
    {
        string log = Write();
        using (FileStream file = new(log, FileMode.Open)) { file.SetLength(file.Length + 100_000); }
        Assert.Equal(Writes, CountPrefix());
    }

    [Fact]
    public void A_last_record_that_is_garbled_is_where_the_log_ends()
    {
        string log = Write();
        byte[] bytes = File.ReadAllBytes(log);
        bytes[^100] ^= 1;
        File.WriteAllBytes(log, bytes);
        Assert.Equal(Writes - 1, CountPrefix());
    }

    [Fact]
    public void Cutting_a_damaged_log_as_the_message_says_lets_it_open()
    {
        string log = Write();
        byte[] bytes = File.ReadAllBytes(log);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(log, bytes);
        LogDamage damage = WriteAheadLogCheck.Find(Database)!.Value;
        Assert.InRange(damage.Offset, (bytes.Length / 2) - (2 * ValueBytes), bytes.Length / 2);
        using (FileStream file = new(log, FileMode.Open)) { file.SetLength(damage.Offset); }
        Assert.InRange(CountPrefix(), (Writes / 2) - 10, Writes / 2);
    }

    /// <summary>Makes a store whose writes are in its log alone; the log's path.</summary>
    private string Write()
    {
        using (RocksKeyValueStore store = RocksKeyValueStore.Open(Database))
        {
            KeyValueBatch batch = new();
            for (int at = 0; at < Writes; at++)
            {
                batch.Clear();
                batch.Put(Family.Log, Key(at), DataFolder.Content(ValueBytes, at + 1));
                Assert.Equal(Status.Ok, store.Write(batch, logged: true));
                if (at < Synced) { Assert.Equal(Status.Ok, store.SyncLog()); }
            }
        }

        return Assert.Single(Directory.GetFiles(Database, "*.log"), path => new FileInfo(path).Length > Writes * ValueBytes);
    }

    /// <summary>Opens the store: what it has must be the first of the writes, each whole; how many.</summary>
    private int CountPrefix()
    {
        using RocksKeyValueStore store = RocksKeyValueStore.Open(Database);
        ByteBuffer value = new();
        int count = 0;
        while (store.TryGet(Family.Log, Key(count), value))
        {
            Assert.True(value.Span.SequenceEqual(DataFolder.Content(ValueBytes, count + 1)));
            count++;
        }

        for (int at = count; at < Writes; at++) { Assert.False(store.TryGet(Family.Log, Key(at), value)); }
        return count;
    }

    private static byte[] Key(int at) => [(byte)(at >> 8), (byte)at];
}
