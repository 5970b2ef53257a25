using System.Text;
using KvFs.Core;
using KvFs.Core.Tests;
using KvFs.Node.Maintenance;
using KvFs.Node.Storage;
using KvFs.Node.Tests.Replication;

namespace KvFs.Node.Tests.Storage;

/// <summary>What the store writes of its own: the journal, and records of the family <c>sys</c> that no drive has.</summary>
public sealed class StoreGoldenTests : IDisposable
{
    private const ulong Salt = 0x1122_3344_5566_7788;

    private readonly DataFolder data = new();

    private JournaledKeyValueStore Store => data.KeyValues;

    public void Dispose() => data.Dispose();

    [Fact]
    public void A_header_of_a_segment_of_the_journal_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        byte[] bytes = new byte[JournalFormat.HeaderBytes];
        SegmentHeader header = new(4 << 20, 0x0102_0304_0506_0708, Salt, 0x2122_2324_2526_2728);
        JournalFormat.WriteHeader(bytes, header);
        Golden.Check("journal-header-v1.bin", bytes);
        Assert.Equal(Status.Ok, JournalFormat.ReadHeader(bytes, out SegmentHeader read));
        Assert.Equal(header, read);
    }

    [Fact]
    public void A_record_of_the_journal_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        KeyValueBatch batch = Changes();
        byte[] bytes = new byte[JournalFormat.SizeOf(batch.Bytes)];
        JournalRecord record = new(batch.Bytes, batch.Count, 0x0102_0304_0506_0708, 0x1112_1314_1516_1718);
        JournalFormat.WriteRecord(bytes, Salt, record, batch.Encoded);
        Golden.Check("journal-record-v1.bin", bytes);

        Assert.True(JournalFormat.TryReadRecord(bytes, Salt, out JournalRecord read, out ReadOnlySpan<byte> payload));
        Assert.Equal(record, read);
        KeyValueBatch again = new();
        Assert.True(again.TrySet(payload, read.Changes));
        Assert.Equal(Text(batch), Text(again));
    }

    [Fact]
    public void The_mark_of_the_journal_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        byte[] bytes = new byte[JournalMark.Size];
        JournalMark mark = new(0x0102_0304_0506_0708, 0x1112_1314_1516_1718);
        mark.Write(bytes);
        Golden.Check("journal-mark-v1.bin", bytes);
        Assert.Equal(Status.Ok, JournalMark.Read(bytes, out JournalMark read));
        Assert.Equal(mark, read);
    }

    [Fact]
    public void The_record_of_a_node_s_pool_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        PoolId pool = new(new UInt128(0x0102_0304_0506_0708, 0x1112_1314_1516_1718));
        PoolRecord.Write(Store, pool);
        Check("sys-pool-v1.txt", "P\x01"u8);

        // Of the same pool it says nothing; any other one it refuses.
        PoolRecord.Write(Store, pool);
        Assert.Equal(Status.InUse, Assert.Throws<StorageException>(() => PoolRecord.Write(Store, new(1))).Status);
    }

    [Fact]
    public void The_record_of_the_map_that_a_node_knows_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        Assert.Null(MapRecord.Find(Store));
        PoolMap map = PoolMapChange.Found(
            new(4711), PoolSettings.Default, 2, [(new("n1", ["10.0.0.1:9740"], "z", PoolLimits.NormalWeight, new(1001)), new((UInt128)1 << 64))]).Map!;
        Assert.Equal(Status.Ok, Store.Write(MapRecord.Of(map), logged: true));
        Check("sys-map-v1.txt", "M\x01"u8);
        Assert.Null(PoolMapSuccession.FindRefusal(map, MapRecord.Find(Store)!));

        KeyValueBatch damaged = new();
        damaged.Put(Family.System, "M\x01"u8, [1, 2, 3]);
        Assert.Equal(Status.Ok, Store.Write(damaged, logged: true));
        Assert.Equal(Status.Corrupt, Assert.Throws<StorageException>(() => MapRecord.Find(Store)).Status);
    }

    [Fact]
    public void The_record_of_how_far_the_scrub_is_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        DriveId drive = new(new UInt128(0x0102_0304_0506_0708, 0x1112_1314_1516_1718));
        ScrubPosition position = new(
            drive, new(0x2122_2324_2526_2728), new(0x3132_3334_3536_3738), new(0x4142_4344_4546_4748));
        Assert.Equal(Status.Ok, position.Write(Store));
        Check("sys-scrub-v1.txt", "C\x01"u8);
        Assert.Equal(position, ScrubPosition.Read(Store));
    }

    [Fact]
    public void The_record_of_a_node_itself_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        NodeIdentity first = NodeIdentity.Start(Store, 0x0102);
        Assert.Equal(new(1, 0x0102), first);
        Check("sys-node-v1.txt", "N\x01"u8);
        Assert.Equal(first with { Starts = 2 }, NodeIdentity.Start(Store, shardCountOfNewPool: 7));
    }

    [Fact]
    public void The_record_of_a_snapshot_that_is_being_installed_is_written_as_the_first_version_wrote_it_and_is_heeded()
    {
        using LogFolder folder = new();
        byte[] key = [.. "S\x01"u8, 0, (byte)LogFolder.Shard.Value];
        folder.Append(1, 3, epoch: 2);
        folder.Store.Done = _ =>
        {
            folder.Store.Done = null;
            Check("sys-installing-v1.txt", key, folder.Store);
        };
        Assert.Equal(Status.Ok, folder.Log.Install(new(new(2), new(9)), [], [], default));
        Assert.Null(folder.Store.Done);
        Assert.False(folder.Store.TryGet(Family.System, key, new ByteBuffer()));
        Assert.Equal(9ul, folder.Log.Applied.Value);

        // A start that finds it removes what there is of the shard.
        folder.Meddle(store =>
        {
            KeyValueBatch batch = new();
            batch.Put(Family.System, key, [1]);
            Assert.Equal(Status.Ok, store.Write(batch, logged: true));
        });
        folder.Reopen();
        Assert.Equal((0ul, default(LogPosition)), (folder.Log.Applied.Value, folder.Shape.Last));
    }

    private static KeyValueBatch Changes()
    {
        KeyValueBatch batch = new();
        batch.Put(Family.Log, "key"u8, "value"u8);
        batch.Delete(Family.Namespace, "gone"u8);
        batch.DeleteRange(Family.Block, "a"u8, "b"u8);
        batch.Put(Family.System, "empty"u8, []);
        return batch;
    }

    private static List<string> Text(KeyValueBatch batch)
    {
        List<string> changes = [];
        foreach (KeyValueBatch.Change change in batch)
        {
            changes.Add($"{change.Operation} {change.Family} {Convert.ToHexString(change.Key)} {Convert.ToHexString(change.Value)}");
        }

        return changes;
    }

    private void Check(string name, ReadOnlySpan<byte> key) => Check(name, key, Store);

    private static void Check(string name, ReadOnlySpan<byte> key, IKeyValueReader store)
    {
        ByteBuffer value = new();
        Assert.True(store.TryGet(Family.System, key, value));
        string text = $"""
            key   {Convert.ToHexStringLower(key)}
            value {Convert.ToHexStringLower(value.Span)}

            """;
        Golden.Check(name, Encoding.ASCII.GetBytes(text));
    }
}
