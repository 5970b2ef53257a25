using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

public sealed class JournaledKeyValueStoreTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-kv-");
    private JournaledKeyValueStore store;

    public JournaledKeyValueStoreTests() => store = JournaledKeyValueStore.Open($"{folder.FullName}/db");

    public void Dispose()
    {
        store.Dispose();
        folder.Delete(recursive: true);
    }

    [Fact]
    public void A_batch_changes_every_family_at_once_and_survives_a_restart()
    {
        KeyValueBatch batch = new();
        foreach (Family family in Enum.GetValues<Family>()) { batch.Put(family, Key(1), [(byte)family]); }
        batch.Put(Family.Log, Key(2), [2]);
        batch.Delete(Family.Log, Key(2));
        Assert.Equal(Status.Ok, store.Write(batch, logged: true));
        Assert.Equal(Status.Ok, store.SyncLog());
        store.Dispose();
        store = JournaledKeyValueStore.Open($"{folder.FullName}/db");
        ByteBuffer value = new();
        foreach (Family family in Enum.GetValues<Family>())
        {
            Assert.True(store.TryGet(family, Key(1), value));
            Assert.Equal([(byte)family], value.Span.ToArray());
        }

        Assert.False(store.TryGet(Family.Log, Key(2), value));
        Assert.Equal(0, value.Length);
    }

    [Fact]
    public void Only_what_was_logged_since_the_last_sync_makes_the_next_one_run()
    {
        Assert.Equal(Status.Ok, store.SyncLog());
        long before = store.GetStatistics().Syncs;
        Assert.Equal(Status.Ok, store.SyncLog());
        KeyValueBatch batch = new();
        batch.Put(Family.System, Key(1), [1]);
        Assert.Equal(Status.Ok, store.Write(batch, logged: false));
        Assert.Equal(Status.Ok, store.SyncLog());
        Assert.Equal(before, store.GetStatistics().Syncs);
        Assert.Equal(Status.Ok, store.Write(batch, logged: true));
        Assert.Equal(Status.Ok, store.SyncLog());
        Assert.Equal(Status.Ok, store.SyncLog());
        Assert.Equal(before + 1, store.GetStatistics().Syncs);
    }

    [Fact]
    public void A_cursor_walks_its_range_and_a_snapshot_stays()
    {
        Fill(10);
        using IKeyValueSnapshot snapshot = store.CreateSnapshot();
        KeyValueBatch batch = new();
        batch.DeleteRange(Family.Namespace, Key(3), Key(8));
        Assert.Equal(Status.Ok, store.Write(batch, logged: false));
        Assert.Equal([0, 1, 2, 8, 9], Walk(store, [], []));
        Assert.Equal([2, 8], Walk(store, Key(2), Key(9)));
        Assert.Equal([3, 4, 5], Walk(snapshot, Key(3), Key(6)));
        Assert.True(snapshot.Reader(Family.Namespace).TryGet(Key(4), new ByteBuffer()));
        Assert.False(store.Reader(Family.Namespace).TryGet(Key(4), new ByteBuffer()));
    }

    [Fact]
    public void The_next_start_has_what_was_not_logged()
    {
        Fill(5);
        store.Dispose();
        store = JournaledKeyValueStore.Open($"{folder.FullName}/db");
        Assert.True(store.GetStatistics().FileBytes > 0);
        Assert.Equal([0, 1, 2, 3, 4], Walk(store, [], []));
    }

    [Fact]
    public void What_was_taken_out_of_the_log_does_not_pile_up_on_the_disk()
    {
        const int Values = 300;
        byte[] content = new byte[1 << 20];
        KeyValueBatch batch = new();
        for (int i = 0; i < Values; i++)
        {
            batch.Clear();
            batch.Put(Family.Log, Key(i), content);
            Assert.Equal(Status.Ok, store.Write(batch, logged: true));
            batch.Clear();
            batch.Put(Family.Namespace, Key(i), [1]);
            batch.DeleteRange(Family.Log, Key(0), Key(i + 1));
            Assert.Equal(Status.Ok, store.Write(batch, logged: false));
        }

        long kept = new DirectoryInfo($"{folder.FullName}/db").EnumerateFiles().Sum(LengthOf);
        Assert.InRange(kept, 0, content.Length * (Values / 2L));
        Assert.True(store.TryGet(Family.Namespace, Key(Values - 1), new ByteBuffer()));
    }

    [Fact]
    public void Concurrent_syncs_are_shared()
    {
        Thread[] threads = [.. Enumerable.Range(0, 8).Select(thread => new Thread(() =>
        {
            KeyValueBatch batch = new();
            for (int i = 0; i < 50; i++)
            {
                batch.Clear();
                batch.Put(Family.Log, Key((thread * 100) + i), [1]);
                store.Write(batch, logged: true);
                store.SyncLog();
            }
        }))];
        foreach (Thread thread in threads) { thread.Start(); }
        foreach (Thread thread in threads) { thread.Join(); }
        Assert.False(store.IsFailed);
        Assert.InRange(store.GetStatistics().Syncs, 50, 400);
    }

    // The store goes on compacting: a file that is gone by now takes no space.
    private static long LengthOf(FileInfo file)
    {
        try
        {
            return file.Length;
        }
        catch (FileNotFoundException)
        {
            return 0;
        }
    }

    private void Fill(int count)
    {
        KeyValueBatch batch = new();
        for (int i = 0; i < count; i++) { batch.Put(Family.Namespace, Key(i), [(byte)i]); }
        Assert.Equal(Status.Ok, store.Write(batch, logged: false));
    }

    private static int[] Walk(IKeyValueReader reader, byte[] from, byte[] to)
    {
        List<int> found = [];
        using IRecordCursor cursor = reader.OpenCursor(Family.Namespace, from, to);
        while (cursor.MoveNext())
        {
            Assert.Equal(cursor.Key[^1], cursor.Value[0]);
            found.Add(cursor.Value[0]);
        }

        return [.. found];
    }

    private static byte[] Key(int number)
    {
        byte[] key = new byte[20];
        key[18] = (byte)(number >> 8);
        key[19] = (byte)number;
        return key;
    }
}
