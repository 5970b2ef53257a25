using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Replication;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Replication;

/// <summary>A folder with a shard's log in it, opened again and again.</summary>
internal sealed class LogFolder : IDisposable
{
    /// <summary>Shards of the pool.</summary>
    public const int ShardCount = 4;

    public static readonly ShardId Shard = new(2);

    private readonly string root = Directory.CreateTempSubdirectory("kvfs-log-").FullName;
    private string folder;
    private int folders;
    private bool isClosed;

    public LogFolder()
    {
        folder = NewFolder();
        (Store, Log, Shape) = Open(folder);
    }

    public CrashingStore Store { get; private set; }

    public ReplicaLog Log { get; private set; }

    /// <summary>What the log said when it was last opened.</summary>
    public LogShape Shape { get; private set; }

    /// <summary>Drives whose home is the shard.</summary>
    public static DriveId[] Drives { get; } = [DriveOf(Shard, 0), DriveOf(Shard, 1)];

    /// <summary>A drive whose home is another shard.</summary>
    public static DriveId Stranger { get; } = DriveOf(new(1), 0);

    /// <summary>For logs of which nobody asks who wrote what was forgotten.</summary>
    public static ImmutableArray<LogRun> NoReigns(LogIndex index) => [];

    /// <summary>Opens what the folder has after an orderly stop.</summary>
    public void Reopen()
    {
        Close();
        Use(folder);
    }

    /// <summary>Opens what a crash at this moment leaves: what was only in memory is gone.</summary>
    public void Crash()
    {
        string image = Image();
        Close();
        Use(image);
    }

    /// <summary>A copy of the folder as a crash at this moment leaves it.</summary>
    public string Image()
    {
        string image = Path.Combine(root, $"{folders++}");
        DataFolders.Copy(folder, image);
        return image;
    }

    /// <summary>Opens a copy, in the place of what was open.</summary>
    public void Use(string image)
    {
        Close();
        folder = image;
        (Store, Log, Shape) = Open(folder);
        isClosed = false;
    }

    /// <summary>Opens the store alone, does something to it that no log would do, and closes it.</summary>
    public void Meddle(Action<IKeyValueStore> how)
    {
        Close();
        using JournaledKeyValueStore store = JournaledKeyValueStore.Open(folder);
        how(store);
    }

    /// <summary>Opens the log after <see cref="Meddle"/>, which it does not like.</summary>
    public StorageException Refusal()
    {
        using JournaledKeyValueStore store = JournaledKeyValueStore.Open(folder);
        return Assert.Throws<StorageException>(() => new ReplicaLog(store, Shard, ShardCount).Open());
    }

    /// <summary>An entry as a primary sends it: puts a record, whose value says which entry it was.</summary>
    public static ReadOnlyMemory<byte> Entry(LogIndex index, Epoch epoch, DriveId drive, int bytes = 20)
    {
        byte[] key = new byte[LogEntry.KeyBytes];
        LogEntry.WriteKey(Shard, index, key);
        ByteBuffer value = new();
        LogEntry.WriteValue(key, epoch, drive, TestPool.Put(drive, index.Value % 7, ValueOf(index, epoch, bytes)).Bytes, value);
        return value.Span.ToArray();
    }

    public static byte[] ValueOf(LogIndex index, Epoch epoch, int bytes = 20)
    {
        byte[] value = new byte[bytes];
        BitConverter.TryWriteBytes(value, index.Value);
        BitConverter.TryWriteBytes(value.AsSpan(8), epoch.Value);
        return value;
    }

    /// <summary>Stores entries of one reign, the drives in turn.</summary>
    public void Append(ulong first, ulong last, ulong epoch, int bytes = 20)
    {
        for (ulong index = first; index <= last; index++)
        {
            Assert.Equal(Status.Ok, Log.Store(new(index), [Entry(new(index), new(epoch), Drives[index % 2], bytes)]));
        }
    }

    public void Apply(ulong upTo)
    {
        while (Log.Applied.Value < upTo) { Assert.Equal(Status.Ok, Log.ApplyNext()); }
    }

    /// <summary>All records of some drives, as text.</summary>
    public string[] Records(params DriveId[] drives)
    {
        List<string> records = [];
        foreach (DriveId drive in drives)
        {
            (byte[] from, byte[] to) = ShardRecords.RangeOf(drive);
            using IRecordCursor cursor = Store.OpenCursor(Family.Namespace, from, to);
            while (cursor.MoveNext()) { records.Add($"{Convert.ToHexString(cursor.Key)}={Convert.ToHexString(cursor.Value)}"); }
        }

        return [.. records];
    }

    public string NewFolder() => Directory.CreateDirectory(Path.Combine(root, $"{folders++}")).FullName;

    public void Dispose()
    {
        Close();
        Directory.Delete(root, recursive: true);
    }

    private void Close()
    {
        if (!isClosed) { Store.Dispose(); }
        isClosed = true;
    }

    private static (CrashingStore, ReplicaLog, LogShape) Open(string folder)
    {
        // Without a keeper nothing changes files behind a test's back, which copies them.
        CrashingStore store = new(JournaledKeyValueStore.Open(
            RocksTables.Open(folder), new LinuxDisk(folder), new JournalOptions(), hasKeeper: false));
        ReplicaLog log = new(store, Shard, ShardCount);
        return (store, log, log.Open());
    }

    private static DriveId DriveOf(ShardId shard, int skip)
    {
        for (UInt128 value = 1; ; value++)
        {
            if (HomeShard.Of(new(value), ShardCount) == shard && skip-- == 0) { return new(value); }
        }
    }
}
