using System.Diagnostics;
using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.RocksDb;

namespace KvFs.Node.Tests.Storage;

/// <summary>The journal on a real disk, beside a real RocksDB.</summary>
public sealed class JournalTests : IDisposable
{
    private const int Writes = 300;

    /// <summary>The first ones are synced, each by itself.</summary>
    private const int Synced = 250;
    private const int ValueBytes = 700;

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-journal-");

    private string Database => Path.Combine(folder.FullName, "db");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void A_killed_process_leaves_every_logged_write()
    {
        Assert.Equal(Writes, CountPrefix(Kill(Write)));
    }

    [Fact]
    public void A_flipped_byte_is_refused_changes_nothing_and_can_be_given_up_as_the_message_says()
    {
        string left = Kill(Write);
        string journal = Assert.Single(Directory.GetFiles($"{left}/journal"));
        byte[] whole = File.ReadAllBytes(journal);
        Random random = new(5);
        StorageException? refused = null;
        for (int round = 0; round < 10; round++)
        {
            byte[] rotten = [.. whole];
            int at = 4096 + random.Next((Synced - 10) * ValueBytes);
            rotten[at] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(journal, rotten);
            refused = Assert.Throws<StorageException>(() => JournaledKeyValueStore.Open(left));
            Assert.Equal(Status.Corrupt, refused.Status);
            Assert.Contains(journal, refused.Message, StringComparison.Ordinal);
            Assert.Equal(rotten, File.ReadAllBytes(journal));
        }

        string commands = refused!.Message[(refused.Message.IndexOf("run: ", StringComparison.Ordinal) + 5)..];
        using (Process shell = Process.Start("sh", ["-c", commands])) { shell.WaitForExit(); }
        Assert.InRange(CountPrefix(left), 1, Synced - 1);
    }

    [Theory]
    [InlineData(512)]
    [InlineData(20_000)]
    public void Whatever_became_of_what_was_not_synced_is_where_the_journal_ends(int bytes)
    {
        string left = Kill(Write);
        string journal = Assert.Single(Directory.GetFiles($"{left}/journal"));
        byte[] torn = File.ReadAllBytes(journal);
        int end = torn.AsSpan(0, torn.Length - 4096).LastIndexOfAnyExcept((byte)0);
        new Random(6).NextBytes(torn.AsSpan(end - bytes, 512));
        File.WriteAllBytes(journal, torn);
        Assert.InRange(CountPrefix(left), Synced, Writes - 1);
    }

    [Fact]
    public void Files_are_used_again_and_many_writers_lose_nothing()
    {
        const int Writers = 4;
        const int Each = 400;
        using (JournaledKeyValueStore store = JournaledKeyValueStore.Open(Database))
        {
            Thread[] threads = [.. Enumerable.Range(0, Writers).Select(writer => new Thread(() =>
            {
                KeyValueBatch batch = new();
                byte[] content = DataFolder.Content(48 << 10, writer);
                for (int i = 0; i < Each; i++)
                {
                    batch.Clear();
                    batch.Put(Family.Log, [(byte)writer, (byte)(i >> 8), (byte)i], content);
                    batch.Delete(Family.Log, [(byte)writer, (byte)((i - 50) >> 8), (byte)(i - 50)]);
                    if (store.Write(batch, logged: true) != Status.Ok) { return; }
                    if (i % 50 == 0) { store.SyncLog(); }
                }
            }))];
            foreach (Thread thread in threads) { thread.Start(); }
            foreach (Thread thread in threads) { thread.Join(); }
            Assert.Null(store.Failure);
            Assert.True(store.GetStatistics().LogBytes > 2 * JournalBytes(Database));
        }

        Assert.InRange(JournalBytes(Database), 1, 32 << 20);
        using JournaledKeyValueStore next = JournaledKeyValueStore.Open(Database);
        ByteBuffer value = new();
        for (int writer = 0; writer < Writers; writer++)
        {
            for (int i = 0; i < Each; i++)
            {
                Assert.Equal(i >= Each - 50, next.TryGet(Family.Log, [(byte)writer, (byte)(i >> 8), (byte)i], value));
            }
        }
    }

    [Fact]
    public void A_second_process_does_not_touch_the_journal()
    {
        using JournaledKeyValueStore store = JournaledKeyValueStore.Open(Database);
        Write(store);
        byte[] before = File.ReadAllBytes($"{Database}/journal/1.segment");
        Assert.Equal(Status.InUse, Assert.Throws<StorageException>(() => JournaledKeyValueStore.Open(Database)).Status);
        Assert.Equal(before, File.ReadAllBytes($"{Database}/journal/1.segment"));
    }

    [Fact]
    public void A_folder_of_an_earlier_version_is_taken_over_and_not_given_back()
    {
        ColumnFamilyOptions[] families = [new("log"), new("ns"), new("block"), new("sys")];
        using (RocksDatabase old = RocksDatabase.Open(Database, new RocksOptions { AtomicFlush = true }, families))
        {
            for (int i = 0; i < Writes; i++) { old.Put(old.Family("log"), Key(i), DataFolder.Content(ValueBytes, i + 1)); }
            CopyFolder(Database, $"{folder.FullName}/left");
        }

        Assert.Equal(Writes, CountPrefix($"{folder.FullName}/left"));
        Assert.Throws<RocksException>(() => RocksDatabase.Open($"{folder.FullName}/left", new RocksOptions(), families));
    }

    [Fact]
    public void An_orderly_end_leaves_nothing_to_apply_and_the_journal_is_missed_when_it_is_gone()
    {
        using (JournaledKeyValueStore store = JournaledKeyValueStore.Open(Database)) { Write(store); }
        foreach (string file in Directory.GetFiles($"{Database}/journal")) { File.Delete(file); }
        Assert.Equal(Writes, CountPrefix(Database));
        Directory.Delete($"{Database}/journal", recursive: true);
        Assert.Equal(
            Status.Corrupt, Assert.Throws<StorageException>(() => JournaledKeyValueStore.Open(Database)).Status);
    }

    private static void Write(JournaledKeyValueStore store)
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

    /// <summary>Copies the files while the store is open, and at rest: what a killed process leaves.</summary>
    private string Kill(Action<JournaledKeyValueStore> use)
    {
        string left = $"{folder.FullName}/left";
        using JournaledKeyValueStore store = JournaledKeyValueStore.Open(Database);
        use(store);
        CopyFolder(Database, left);
        return left;
    }

    private static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.GetFiles(from)) { File.Copy(file, $"{to}/{Path.GetFileName(file)}"); }
        foreach (string inner in Directory.GetDirectories(from)) { CopyFolder(inner, $"{to}/{Path.GetFileName(inner)}"); }
    }

    private static long JournalBytes(string of) =>
        new DirectoryInfo($"{of}/journal").EnumerateFiles().Sum(static file => file.Length);

    /// <summary>Opens the store: what it has must be the first of the writes, each whole; how many.</summary>
    private static int CountPrefix(string of)
    {
        using JournaledKeyValueStore store = JournaledKeyValueStore.Open(of);
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
