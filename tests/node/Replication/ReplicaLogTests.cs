using KvFs.Core;
using KvFs.Node.Replication;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Replication;

/// <summary>A replica's log on a real disk: what is there after it was opened again, and what is refused.</summary>
public sealed class ReplicaLogTests : IDisposable
{
    private readonly LogFolder folder = new();

    private ReplicaLog Log => folder.Log;

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Entries_are_there_again_as_they_were_written(bool crashes)
    {
        folder.Append(1, 5, epoch: 3);
        RecordBatch changes = TestPool.Put(LogFolder.Drives[0], 1, [9]);
        Assert.Equal(Status.Ok, Log.Append(new(6), new(4), LogFolder.Drives[0], changes.Bytes));
        ReadOnlyMemory<byte>[] three = [.. Enumerable.Range(7, 3).Select(index => LogFolder.Entry(new((ulong)index), new(7), LogFolder.Drives[1]))];
        Assert.Equal(Status.Ok, Log.Store(new(7), three));
        byte[][] written = [.. Enumerable.Range(1, 9).Select(index => Log.Read(new((ulong)index)).ToArray())];
        if (crashes) { folder.Crash(); }
        else { folder.Reopen(); }
        Assert.Equal(new(new(7), new(9)), folder.Shape.Last);
        Assert.Equal(default, folder.Shape.Start);
        Assert.Equal([new(default, default), new(new(3), new(5)), new(new(4), new(6)), new(new(7), new(9))], folder.Shape.Runs.ToArray());
        Assert.Equal(written, Enumerable.Range(1, 9).Select(index => Log.Read(new((ulong)index)).ToArray()));
        Assert.Equal(LogFolder.Entry(new(3), new(3), LogFolder.Drives[1]).ToArray(), written[2]);
    }

    [Fact]
    public void A_log_that_never_was_is_empty()
    {
        Assert.Equal((default, default, default), (folder.Shape.Last, folder.Shape.Start, Log.Applied));
        folder.Reopen();
        Assert.Equal((default, default, default), (folder.Shape.Last, folder.Shape.Start, Log.Applied));
        StorageException missing = Assert.Throws<StorageException>(() => Log.Read(new(1)));
        Assert.Equal(Status.Corrupt, missing.Status);
    }

    [Fact]
    public void What_the_mark_does_not_cover_is_applied_again()
    {
        folder.Append(1, 10, epoch: 1);
        folder.Apply(4);
        folder.Reopen();
        Assert.Equal(4ul, Log.Applied.Value);
        folder.Apply(10);
        string[] records = folder.Records(LogFolder.Drives);
        Assert.NotEmpty(records);

        // Nothing was flushed since: the crash takes the records back, and the mark with them.
        folder.Crash();
        Assert.Equal(4ul, Log.Applied.Value);
        Assert.NotEqual(records, folder.Records(LogFolder.Drives));
        folder.Apply(10);
        Assert.Equal(records, folder.Records(LogFolder.Drives));
        folder.Reopen();
        Assert.Equal(10ul, Log.Applied.Value);
        Assert.Equal(records, folder.Records(LogFolder.Drives));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_was_cut_does_not_come_back_and_others_take_its_place(bool crashes)
    {
        folder.Append(1, 10, epoch: 1);
        folder.Apply(4);
        Assert.Equal(Status.Ok, Log.Cut(new(6)));
        Assert.Throws<StorageException>(() => Log.Read(new(7)));
        folder.Append(7, 8, epoch: 2);
        if (crashes) { folder.Crash(); }
        else { folder.Reopen(); }
        Assert.Equal([new(default, default), new(new(1), new(6)), new(new(2), new(8))], folder.Shape.Runs.ToArray());
        Assert.Equal(LogFolder.Entry(new(7), new(2), LogFolder.Drives[1]).ToArray(), Log.Read(new(7)).ToArray());
        Assert.Equal(Status.Ok, Log.Cut(new(6)));
        folder.Reopen();
        Assert.Equal(new(new(1), new(6)), folder.Shape.Last);
    }

    [Fact]
    public void A_full_disk_is_no_damage()
    {
        folder.Append(1, 3, epoch: 1);
        folder.Apply(1);
        folder.Store.FailsWith = Status.NoSpace;
        folder.Store.FailsAt = 1;
        Assert.Equal(Status.NoSpace, Log.Append(new(4), new(1), LogFolder.Drives[0], []));
        Assert.Equal(Status.NoSpace, Log.Store(new(4), [LogFolder.Entry(new(4), new(1), LogFolder.Drives[0])]));
        Assert.Equal(Status.NoSpace, Log.ApplyNext());
        Assert.Equal(1ul, Log.Applied.Value);
        folder.Store.FailsAt = 0;
        Assert.Throws<StorageException>(() => Log.Read(new(4)));
        folder.Append(4, 4, epoch: 2);
        folder.Apply(4);
        folder.Reopen();
        Assert.Equal((4ul, new(new(2), new(4))), (Log.Applied.Value, folder.Shape.Last));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_forgotten_leaves_enough_and_what_is_left_fits(bool crashes)
    {
        const int EntryBytes = 300 << 10;
        ulong forgotten = 0;
        for (ulong index = 1; index <= 60; index++)
        {
            folder.Append(index, index, epoch: 1 + (index / 9), EntryBytes);
            folder.Apply(index);
            while (Log.ForgetOld(LogFolder.NoReigns) is { } upTo)
            {
                Assert.InRange(upTo.Value, forgotten + 1, index);
                forgotten = upTo.Value;
            }

            // Eight steps of a megabyte, whatever comes.
            Assert.True((index - forgotten) * EntryBytes >= Math.Min(8ul << 20, (index - 1) * EntryBytes));
        }

        Assert.InRange(forgotten, 1ul, 59ul);
        Assert.NotEmpty(Log.Read(new(forgotten)).ToArray());
        if (crashes) { folder.Crash(); }
        else { folder.Reopen(); }
        LogShape shape = folder.Shape;
        Assert.Equal(new(new(1 + (60ul / 9)), new(60)), shape.Last);
        if (!crashes) { Assert.Equal(new(new(1 + (forgotten / 9)), new(forgotten)), shape.Start); }
        Assert.InRange(shape.Start.Index.Value, 0ul, forgotten);
        Assert.InRange(Log.Applied.Value, shape.Start.Index.Value, 60ul);
        for (ulong index = Math.Max(shape.Start.Index.Value, 1); index <= 60; index++)
        {
            Assert.Equal(1 + (index / 9), shape.EpochAt(new(index)).Value);
            Assert.NotEmpty(Log.Read(new(index)).ToArray());
        }

        folder.Apply(60);
        Assert.Equal(14, folder.Records(LogFolder.Drives).Length);
        folder.Append(61, 62, epoch: 9);
        folder.Reopen();
        Assert.Equal(new(new(9), new(62)), folder.Shape.Last);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Which_reigns_ended_before_what_is_forgotten_is_there_again(bool crashes)
    {
        const int EntryBytes = 1 << 20;
        LogShape grown = new();
        for (ulong index = 1; index <= 30; index++)
        {
            ulong epoch = 1 + (index / 4);
            folder.Append(index, index, epoch, EntryBytes);
            grown.Append(new(epoch));
        }

        folder.Apply(30);
        while (Log.ForgetOld(grown.EndedBefore) is { } upTo) { grown.TrimTo(upTo); }
        Assert.InRange(grown.Start.Index.Value, 8ul, 29ul);
        if (crashes) { folder.Crash(); }
        else { folder.Reopen(); }
        LogShape shape = folder.Shape;
        if (!crashes) { Assert.Equal(grown.Start, shape.Start); }
        for (ulong index = 1; index <= 30; index++)
        {
            ulong epoch = 1 + (index / 4);
            Assert.True(shape.Has(new(new(epoch), new(index))));
            Assert.False(shape.Has(new(new(epoch - 1), new(index))));
            Assert.False(shape.Has(new(new(epoch + 1), new(index))));
        }
    }

    [Fact]
    public void A_log_of_a_version_that_did_not_keep_which_reigns_ended_opens_and_knows_of_none()
    {
        byte[] key = MakeForgotten();
        folder.Meddle(store =>
        {
            KeyValueBatch batch = new();
            batch.Delete(Family.System, key);
            Assert.Equal(Status.Ok, store.Write(batch, logged: true));
        });
        folder.Reopen();
        Assert.Empty(folder.Shape.EndedBefore(folder.Shape.Start.Index));

        // One that such a version made begin elsewhere since.
        ByteBuffer value = new();
        EndedReigns.WriteValue(key, new(folder.Shape.Start.Epoch, new(folder.Shape.Start.Index.Value - 1)), [default], value);
        folder.Meddle(store => Put(store, Family.System, key, value.Span.ToArray()));
        folder.Reopen();
        Assert.Empty(folder.Shape.EndedBefore(folder.Shape.Start.Index));
    }

    [Fact]
    public void Damage_of_which_reigns_ended_is_told_with_what_to_do()
    {
        byte[] key = MakeForgotten();
        folder.Meddle(store => Put(store, Family.System, key, [1, 2, 3]));
        AssertRefused(folder.Refusal(), "which reigns have ended", Status.Corrupt);
    }

    /// <summary>A log of two reigns, of which the first is forgotten; gives the key under which that is kept.</summary>
    private byte[] MakeForgotten()
    {
        folder.Append(1, 3, epoch: 1, 1 << 20);
        folder.Append(4, 20, epoch: 2, 1 << 20);
        folder.Apply(20);
        LogShape grown = new();
        for (ulong index = 1; index <= 20; index++) { grown.Append(new(index < 4 ? 1ul : 2ul)); }
        while (Log.ForgetOld(grown.EndedBefore) is not null) { }
        folder.Reopen();
        Assert.Equal([default, new LogRun(new(1), new(3))], folder.Shape.EndedBefore(folder.Shape.Start.Index).AsEnumerable());
        byte[] key = new byte[EndedReigns.KeyBytes];
        EndedReigns.WriteKey(LogFolder.Shard, key);
        return key;
    }

    [Fact]
    public void After_a_cut_what_is_forgotten_goes_on_upwards()
    {
        const int EntryBytes = 1 << 20;
        folder.Append(1, 12, epoch: 1, EntryBytes);
        folder.Apply(3);
        Assert.Equal(Status.Ok, Log.Cut(new(5)));
        folder.Append(6, 25, epoch: 2, EntryBytes);
        folder.Apply(25);
        ulong forgotten = 0;
        while (Log.ForgetOld(LogFolder.NoReigns) is { } upTo)
        {
            Assert.InRange(upTo.Value, forgotten + 1, 25ul);
            forgotten = upTo.Value;
        }

        Assert.InRange(forgotten, 1ul, 24ul);
        folder.Reopen();
        Assert.False(folder.Store.IsFailed, folder.Store.Failure);
        Assert.Equal(forgotten, folder.Shape.Start.Index.Value);
        Assert.Equal(new(new(2), new(25)), folder.Shape.Last);
    }

    [Fact]
    public void What_was_not_applied_is_not_forgotten()
    {
        folder.Append(1, 20, epoch: 1, 1 << 20);
        Assert.Null(Log.ForgetOld(LogFolder.NoReigns));
        folder.Apply(1);
        Assert.Equal(new LogIndex(1), Log.ForgetOld(LogFolder.NoReigns));
        Assert.Null(Log.ForgetOld(LogFolder.NoReigns));
    }

    [Fact]
    public void A_gap_is_told_with_what_to_do()
    {
        folder.Append(1, 9, epoch: 1);
        folder.Apply(3);
        folder.Meddle(static store => Delete(store, 5));
        AssertRefused(folder.Refusal(), "entry 5", Status.Corrupt);
    }

    [Fact]
    public void Entries_that_were_applied_and_are_not_there_are_told()
    {
        folder.Append(1, 9, epoch: 1);
        folder.Apply(9);
        folder.Meddle(static store => Delete(store, 9));
        AssertRefused(folder.Refusal(), "entry 9", Status.Corrupt);
        folder.Meddle(static store => { for (ulong index = 1; index < 9; index++) { Delete(store, index); } });
        AssertRefused(folder.Refusal(), "entry 9", Status.Corrupt);
    }

    [Fact]
    public void A_log_that_begins_behind_what_is_applied_is_told()
    {
        folder.Append(1, 9, epoch: 1);
        folder.Apply(3);
        folder.Meddle(static store => { for (ulong index = 1; index < 6; index++) { Delete(store, index); } });
        AssertRefused(folder.Refusal(), "entry 3", Status.Corrupt);
    }

    [Fact]
    public void A_damaged_entry_or_mark_is_told_with_what_to_do()
    {
        folder.Append(1, 9, epoch: 1);
        folder.Apply(3);
        byte[] entry = Log.Read(new(5)).ToArray();
        for (int at = 0; at < entry.Length; at += 5)
        {
            byte[] damaged = [.. entry];
            damaged[at] ^= 0x10;
            folder.Meddle(store => Put(store, Family.Log, KeyOf(5), damaged));
            AssertRefused(folder.Refusal(), "entry 5", Status.Corrupt);
        }

        folder.Meddle(store => Put(store, Family.Log, KeyOf(5), entry[..10]));
        AssertRefused(folder.Refusal(), "entry 5", Status.Corrupt);
        folder.Meddle(store => Put(store, Family.Log, KeyOf(5), entry));
        byte[] mark = new byte[AppliedMark.KeyBytes];
        AppliedMark.WriteKey(LogFolder.Shard, mark);
        folder.Meddle(store => Put(store, Family.Namespace, mark, [1, 2, 3]));
        AssertRefused(folder.Refusal(), "the applied mark", Status.Corrupt);
    }

    [Fact]
    public void An_entry_of_an_earlier_reign_than_the_one_before_it_is_told()
    {
        folder.Append(1, 3, epoch: 5);
        folder.Meddle(static store => Put(store, Family.Log, KeyOf(4), LogFolder.Entry(new(4), new(4), LogFolder.Drives[0]).ToArray()));
        AssertRefused(folder.Refusal(), "entry 4", Status.Corrupt);
    }

    [Fact]
    public void A_key_that_is_none_of_a_log_is_told()
    {
        folder.Append(1, 3, epoch: 1);
        folder.Meddle(static store => Put(store, Family.Log, [.. KeyOf(2), 0], [1]));
        AssertRefused(folder.Refusal(), "entry 3", Status.Corrupt);
    }

    [Fact]
    public void The_logs_and_records_of_other_shards_are_left_alone()
    {
        ReplicaLog other = new(folder.Store, new(1), LogFolder.ShardCount);
        other.Open();
        RecordBatch changes = TestPool.Put(LogFolder.Stranger, 1, [7]);
        Assert.Equal(Status.Ok, other.Append(new(1), new(1), LogFolder.Stranger, changes.Bytes));
        Assert.Equal(Status.Ok, other.ApplyNext());
        folder.Append(1, 5, epoch: 1);
        folder.Apply(5);
        Assert.Equal(Status.Ok, Log.Cut(new(5)));
        Assert.Equal(Status.Ok, Log.Install(default, [], [], default));
        Assert.Empty(folder.Records(LogFolder.Drives));
        folder.Reopen();
        Assert.Equal((default, default), (folder.Shape.Last, Log.Applied));
        ReplicaLog again = new(folder.Store, new(1), LogFolder.ShardCount);
        Assert.Equal(new(new(1), new(1)), again.Open().Last);
        Assert.Equal(1ul, again.Applied.Value);
        Assert.Single(folder.Records(LogFolder.Stranger));
    }

    private static byte[] KeyOf(ulong index)
    {
        byte[] key = new byte[LogEntry.KeyBytes];
        LogEntry.WriteKey(LogFolder.Shard, new(index), key);
        return key;
    }

    private static void Delete(IKeyValueStore store, ulong index)
    {
        KeyValueBatch batch = new();
        batch.Delete(Family.Log, KeyOf(index));
        Assert.Equal(Status.Ok, store.Write(batch, logged: true));
    }

    private static void Put(IKeyValueStore store, Family family, byte[] key, byte[] value)
    {
        KeyValueBatch batch = new();
        batch.Put(family, key, value);
        Assert.Equal(Status.Ok, store.Write(batch, logged: true));
    }

    private static void AssertRefused(StorageException refusal, string what, Status status)
    {
        Assert.Equal(status, refusal.Status);
        Assert.Contains(what, refusal.Message, StringComparison.Ordinal);
        Assert.Contains($"shard {LogFolder.Shard}", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("remove this node's data folder and let it join anew", refusal.Message, StringComparison.Ordinal);
    }
}
