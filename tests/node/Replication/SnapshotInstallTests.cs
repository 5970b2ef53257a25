using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Replication;
using Xunit.Abstractions;

namespace KvFs.Node.Tests.Replication;

/// <summary>A snapshot takes the place of all that a shard had: wholly, whatever comes between.</summary>
public sealed class SnapshotInstallTests(ITestOutputHelper output) : IDisposable
{
    private static readonly LogPosition s_at = new(new(8), new(500));

    private readonly LogFolder folder = new();

    private ReplicaLog Log => folder.Log;

    public void Dispose() => folder.Dispose();

    [Fact]
    public void What_was_there_is_gone_and_what_the_snapshot_has_is_there()
    {
        MakeOld();
        string[] stranger = folder.Records(LogFolder.Stranger);
        Assert.Equal(Status.Ok, Log.Install(s_at, [], Parts(), default));
        AssertNew();
        folder.Crash();
        AssertNew();
        folder.Reopen();
        AssertNew();
        Assert.Equal(stranger, folder.Records(LogFolder.Stranger));
        Assert.NotEmpty(stranger);

        // Entries go on behind it, and may be forgotten as others are.
        folder.Append(501, 530, epoch: 9, 1 << 20);
        folder.Apply(530);
        Assert.NotNull(Log.ForgetOld(LogFolder.NoReigns));
        folder.Reopen();
        Assert.Equal((530ul, new(new(9), new(530))), (Log.Applied.Value, folder.Shape.Last));
        Assert.Equal(501ul, folder.Shape.Start.Index.Value);
    }

    [Fact]
    public void Which_reigns_ended_before_the_snapshot_comes_with_it()
    {
        MakeOld();
        ImmutableArray<LogRun> ended = [default, new(new(2), new(12)), new(new(5), new(499))];
        Assert.Equal(Status.Ok, Log.Install(s_at, ended, Parts(), default));
        folder.Crash();
        Assert.Equal(ended.AsEnumerable(), folder.Shape.EndedBefore(s_at.Index).AsEnumerable());
        Assert.False(folder.Shape.Has(new(new(2), new(13))));
        Assert.True(folder.Shape.Has(new(new(5), new(13))));

        // What the next snapshot does not say is not known.
        Assert.Equal(Status.Ok, Log.Install(s_at, [], Parts(), default));
        folder.Crash();
        Assert.Empty(folder.Shape.EndedBefore(s_at.Index));
    }

    [Fact]
    public void A_snapshot_of_nothing_leaves_nothing()
    {
        MakeOld();
        Assert.Equal(Status.Ok, Log.Install(s_at, [], [], default));
        folder.Reopen();
        Assert.Empty(folder.Records(LogFolder.Drives));
        Assert.Equal((s_at, s_at, s_at.Index), (folder.Shape.Start, folder.Shape.Last, Log.Applied));
    }

    [Fact]
    public void A_snapshot_from_before_all_entries_can_be_opened_again()
    {
        MakeOld();
        Assert.Equal(Status.Ok, Log.Install(default, [], [], default));
        Assert.Equal(default, Log.Applied);
        folder.Append(1, 3, epoch: 9);
        folder.Reopen();
        Assert.Equal((default, new(new(9), new(3))), (folder.Shape.Start, folder.Shape.Last));
        folder.Apply(3);
        folder.Reopen();
        Assert.Equal((3ul, new(new(9), new(3))), (Log.Applied.Value, folder.Shape.Last));
    }

    [Fact]
    public void What_stands_for_a_snapshot_up_to_the_first_entry_is_that_entry()
    {
        LogPosition first = new(new(8), new(1));
        Assert.Equal(Status.Ok, Log.Append(first.Index, first.Epoch, default, []));
        byte[] entry = Log.Read(first.Index).ToArray();
        Assert.Equal(Status.Ok, Log.Install(first, [], Parts(), default));
        folder.Append(2, 3, epoch: 9);
        folder.Reopen();

        // The first entry of a log is always that of the reign that began it, which has no contents: it may be sent to others.
        Assert.Equal(entry, Log.Read(first.Index).ToArray());
        Assert.Equal((1ul, new(new(9), new(3))), (Log.Applied.Value, folder.Shape.Last));
        Assert.Equal(NewRecords(), folder.Records(LogFolder.Drives));
    }

    [Fact]
    public void A_part_that_is_no_batch_is_not_taken_for_a_whole_snapshot()
    {
        MakeOld();
        Assert.Equal(Status.Corrupt, Log.Install(s_at, [], [Part(0), new byte[] { 1, 2, 3 }], default));
        folder.Reopen();
        AssertNothing();
    }

    [Fact]
    public void A_crash_at_any_point_leaves_all_of_the_old_or_nothing_or_all_of_the_new()
    {
        MakeOld();
        string[] old = OldRecords();
        string[] stranger = folder.Records(LogFolder.Stranger);
        List<string> images = [folder.Image()];
        int before = folder.Store.Steps;
        folder.Store.Done = _ => images.Add(folder.Image());
        Assert.Equal(Status.Ok, Log.Install(s_at, [], Parts(), default));
        output.WriteLine($"{folder.Store.Steps - before} writes and syncs");
        folder.Store.Done = null;
        Assert.InRange(images.Count, 6, 100);
        List<string> left = [];
        foreach (string image in images)
        {
            folder.Use(image);
            left.Add(Left(old));
            Assert.Equal(stranger, folder.Records(LogFolder.Stranger));
        }

        output.WriteLine(string.Join(' ', left));
        AssertOrder(left);
        Assert.Equal("new", left[^1]);
    }

    [Fact]
    public void A_write_that_fails_at_any_point_leaves_all_of_the_old_or_nothing_or_all_of_the_new()
    {
        MakeOld();
        string[] old = OldRecords();
        string[] stranger = folder.Records(LogFolder.Stranger);
        string image = folder.Image();
        List<string> left = [];
        foreach (bool crashes in new[] { false, true })
        {
            left.Clear();
            Status status = Status.IoError;
            for (int at = 1; status != Status.Ok; at++)
            {
                // Each time from the same beginning.
                folder.Use(CopyOf(image));
                folder.Apply(12);
                folder.Store.FailsAt = folder.Store.Steps + at;
                status = Log.Install(s_at, [], Parts(), default);
                Assert.Contains(status, new[] { Status.Ok, Status.IoError });
                folder.Store.FailsAt = 0;
                if (crashes) { folder.Crash(); }
                else { folder.Reopen(); }
                left.Add(Left(old));
                Assert.Equal(stranger, folder.Records(LogFolder.Stranger));
            }

            output.WriteLine($"{(crashes ? "crash" : "stop")}: {string.Join(' ', left)}");
            AssertOrder(left);
            Assert.Equal("old", left[0]);
            Assert.Equal("new", left[^1]);
        }
    }

    [Fact]
    public void What_never_became_whole_is_no_copy_however_often_it_is_opened_until_it_is_forgotten()
    {
        MakeOld();
        Assert.False(Log.LacksSnapshot);
        using CancellationTokenSource stop = new();
        Assert.Throws<OperationCanceledException>(() => Log.Install(s_at, [], Stopping(stop), stop.Token));
        folder.Crash();
        AssertNothing();
        folder.Reopen();
        AssertNothing();
        Assert.Equal(Status.Ok, Log.Forget([]));
        folder.Crash();
        Assert.False(Log.LacksSnapshot);
    }

    [Fact]
    public void What_is_left_after_a_failure_takes_the_snapshot_again()
    {
        MakeOld();
        folder.Store.FailsAt = folder.Store.Steps + 3;
        Assert.Equal(Status.IoError, Log.Install(s_at, [], Parts(), default));
        folder.Store.FailsAt = 0;
        folder.Crash();
        AssertNothing();
        Assert.Equal(Status.Ok, Log.Install(s_at, [], Parts(), default));
        folder.Crash();
        AssertNew();
    }

    /// <summary>Entries 1 to 15, of which 12 are applied, some of them on disk; and another shard's records.</summary>
    private void MakeOld()
    {
        ReplicaLog other = new(folder.Store, new(1), LogFolder.ShardCount);
        other.Open();
        RecordBatch changes = TestPool.Put(LogFolder.Stranger, 1, [7]);
        Assert.Equal(Status.Ok, other.Append(new(1), new(1), LogFolder.Stranger, changes.Bytes));
        Assert.Equal(Status.Ok, other.ApplyNext());
        folder.Append(1, 15, epoch: 2);
        folder.Apply(6);
        folder.Reopen();
        folder.Apply(12);
    }

    private string[] OldRecords()
    {
        string[] records = folder.Records(LogFolder.Drives);
        Assert.NotEmpty(records);
        Assert.NotEqual(NewRecords(), records);
        return records;
    }

    /// <summary>What the folder has: of a mixture there is no word for it.</summary>
    private string Left(string[] old)
    {
        if (folder.Shape.Last == default)
        {
            AssertNothing();
            return "nothing";
        }

        if (folder.Shape.Last == s_at)
        {
            AssertNew();
            return "new";
        }

        Assert.Equal((default, new(new(2), new(15))), (folder.Shape.Start, folder.Shape.Last));
        Assert.InRange(Log.Applied.Value, 6ul, 12ul);
        folder.Apply(12);
        Assert.Equal(old, folder.Records(LogFolder.Drives));
        return "old";
    }

    private void AssertNothing()
    {
        Assert.True(Log.LacksSnapshot);
        Assert.Equal((default, default, default), (folder.Shape.Start, folder.Shape.Last, Log.Applied));
        Assert.Empty(folder.Records(LogFolder.Drives));
    }

    private void AssertNew()
    {
        Assert.False(Log.LacksSnapshot);
        Assert.Equal(s_at.Index, Log.Applied);
        Assert.Equal(NewRecords(), folder.Records(LogFolder.Drives));
        Assert.Throws<KvFs.Node.Storage.StorageException>(() => Log.Read(new(15)));
        Assert.NotEmpty(Log.Read(s_at.Index).ToArray());
        LogShape shape = new ReplicaLog(folder.Store, LogFolder.Shard, LogFolder.ShardCount).Open();
        Assert.Equal((s_at, s_at), (shape.Start, shape.Last));
    }

    private static void AssertOrder(List<string> left) =>
        Assert.Equal([.. left.OrderBy(static what => Array.IndexOf(["old", "nothing", "new"], what))], left);

    private static IEnumerable<ReadOnlyMemory<byte>> Parts() => [Part(0), Part(1), Part(2), Part(3)];

    /// <summary>The parts; the node stops after the second of them.</summary>
    private static IEnumerable<ReadOnlyMemory<byte>> Stopping(CancellationTokenSource stop)
    {
        yield return Part(0);
        yield return Part(1);
        stop.Cancel();
        yield return Part(2);
    }

    /// <summary>A part of the snapshot: records whose keys the old ones had, and others.</summary>
    private static ReadOnlyMemory<byte> Part(int number)
    {
        RecordBatch part = new();
        for (ulong key = 0; key < 3; key++) { part.Put(TestPool.KeyOf(LogFolder.Drives[number / 2], KeyOf(number, key)), [(byte)number, (byte)key]); }
        return part.Bytes.ToArray();
    }

    private static ulong KeyOf(int number, ulong key) => ((ulong)number % 2 * 50) + (key * 2);

    private static string[] NewRecords() =>
    [
        .. from number in Enumerable.Range(0, 4)
           from key in Enumerable.Range(0, 3)
           select $"{Convert.ToHexString(TestPool.KeyOf(LogFolder.Drives[number / 2], KeyOf(number, (ulong)key)))}={number:X2}{key:X2}",
    ];

    private string CopyOf(string image)
    {
        string copy = folder.NewFolder();
        DataFolders.Copy(image, copy);
        return copy;
    }
}
