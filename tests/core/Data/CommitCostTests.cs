namespace KvFs.Core.Tests;

public sealed class CommitCostTests
{
    [Fact]
    public void A_small_commit_into_a_known_cluster_reads_the_files_record_alone_and_allocates_nothing()
    {
        TestDrive drive = new();
        DataDrive data = new(new(), drive, cached: false);
        VNodeId file = data.CreateFile();
        FileCommit commit = new() { Node = file, Session = data.Session, MinSize = 4096 };
        DataDrive.AddInline(commit, 0, [5, 6, 7, 8]);
        CountingReader reader = new(drive.Records);
        DriveTransaction transaction = new() { Clusters = new(capacity: 1000) };
        RecordBatch batch = new();
        DriveCounters counters = drive.Counters;
        for (int warm = 0; warm < 100; warm++) { Run(); }

        reader.Clear();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int run = 0; run < 100; run++) { Run(); }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal((100, 0), (reader.Gets, reader.Cursors));

        void Run()
        {
            // Not by Assert.Equal, which allocates itself.
            Status status = transaction.Begin(drive.State, counters, reader, new(1));
            if (status == Status.Ok) { status = CommitSlices.Apply(commit, transaction, out _); }
            if (status != Status.Ok) { Assert.Fail($"The commit answered {status}."); }
            batch.Clear();
            transaction.Build(batch);
        }
    }

    private sealed class CountingReader(IRecordReader records) : IRecordReader
    {
        public int Gets { get; private set; }

        public int Cursors { get; private set; }

        public void Clear()
        {
            Gets = 0;
            Cursors = 0;
        }

        public bool TryGet(ReadOnlySpan<byte> key, ByteBuffer value)
        {
            Gets++;
            return records.TryGet(key, value);
        }

        public IRecordCursor OpenCursor(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
        {
            Cursors++;
            return records.OpenCursor(from, to);
        }
    }
}
