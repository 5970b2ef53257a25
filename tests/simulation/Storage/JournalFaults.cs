using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>Bugs that are planted below the journal, each as if a line of it were missing.</summary>
internal enum JournalBug
{
    None,

    /// <summary>The journal's files are never synced.</summary>
    SkipSync,

    /// <summary>A sync leaves out the segment before the one that is written.</summary>
    SyncOnlyLast,

    /// <summary>A new segment's name is not synced.</summary>
    SkipDirectorySync,

    /// <summary>The tables say that they have a record which is not yet written.</summary>
    MarkAhead,

    /// <summary>A segment is used again though the tables were not flushed.</summary>
    ReuseUnflushed,

    /// <summary>After a recovery, numbers go on above what was found, and the mark does not.</summary>
    ForgetJump,

    /// <summary>A record that had no room in the tables stays in the journal.</summary>
    SkipWithdrawal,
}

/// <summary>Puts a planted bug between the journal and what it stands on.</summary>
/// <remarks>Only what happens after the first opening is lied about: the bug has to be found by what it does later.</remarks>
internal sealed class JournalFaults(JournalBug planted)
{
    private JournalBug bug = JournalBug.None;

    /// <summary>The first opening is done.</summary>
    internal void Start() => bug = planted;

    internal IDisk On(IDisk disk) => planted == JournalBug.None ? disk : new LyingDisk(disk, this);

    internal ITableStore On(ITableStore tables) => planted == JournalBug.None ? tables : new LyingTables(tables, this);

    private sealed class LyingDisk(IDisk disk, JournalFaults faults) : IDisk
    {
        internal IDiskFile? LastWritten { get; set; }

        public Status Open(string path, out IDiskFile? file)
        {
            Status status = disk.Open(path, out file);
            if (file is not null) { file = new LyingFile(this, file, faults); }
            return status;
        }

        public Status Create(string path, out IDiskFile? file)
        {
            Status status = disk.Create(path, out file);
            if (file is not null) { file = new LyingFile(this, file, faults); }
            return status;
        }

        public Status CreateDirectory(string path) => disk.CreateDirectory(path);

        public Status List(string path, List<string> names) => disk.List(path, names);

        public Status DeleteFile(string path) => disk.DeleteFile(path);

        public Status DeleteDirectory(string path) => disk.DeleteDirectory(path);

        public Status Rename(string from, string to) => disk.Rename(from, to);

        public Status SyncDirectory(string path) =>
            faults.bug == JournalBug.SkipDirectorySync ? Status.Ok : disk.SyncDirectory(path);

        public Status GetSpace(out DiskSpace space) => disk.GetSpace(out space);

        public Status TryLock(string path, out IDisposable? heldLock) => disk.TryLock(path, out heldLock);
    }

    private sealed class LyingFile(LyingDisk disk, IDiskFile file, JournalFaults faults) : IDiskFile
    {
        private long lastAppend;
        private bool hasRecords;

        public Status GetLength(out long length) => file.GetLength(out length);

        public Status Read(long offset, Span<byte> destination, out int read) => file.Read(offset, destination, out read);

        public Status Write(long offset, ReadOnlySpan<byte> source)
        {
            // Headers are as long as no record is.
            hasRecords = source.Length != JournalFormat.HeaderBytes && offset >= JournalFormat.PageBytes;
            bool isWithdrawal = hasRecords && offset == lastAppend;
            lastAppend = hasRecords ? offset : 0;
            disk.LastWritten = this;
            return isWithdrawal && faults.bug == JournalBug.SkipWithdrawal ? Status.Ok : file.Write(offset, source);
        }

        public Status Sync() => faults.bug switch
        {
            JournalBug.SkipSync when hasRecords => Status.Ok,
            JournalBug.SyncOnlyLast when disk.LastWritten != this => Status.Ok,
            _ => file.Sync(),
        };

        public Status SetLength(long length) => file.SetLength(length);

        public Status PunchHole(long offset, long length) => file.PunchHole(offset, length);

        public void Prefetch(long offset, long length) => file.Prefetch(offset, length);

        public void Dispose() => file.Dispose();
    }

    private sealed class LyingTables(ITableStore tables, JournalFaults faults) : ITableStore
    {
        private bool isAtWork;

        public string Path => tables.Path;

        public bool TryReadMark(out JournalMark mark) => tables.TryReadMark(out mark);

        public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => tables.TryGet(family, key, value);

        public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
            tables.OpenCursor(family, from, to);

        public IKeyValueSnapshot CreateSnapshot() => tables.CreateSnapshot();

        public Status Write(KeyValueBatch batch, JournalMark? mark, out string? failure)
        {
            failure = null;
            isAtWork = batch.Count > 0;
            bool isJump = batch.Count == 0 && mark is { Number: > 0 };
            if (isJump && faults.bug == JournalBug.ForgetJump) { return Status.Ok; }
            if (mark is { } told && isAtWork && faults.bug == JournalBug.MarkAhead)
            {
                mark = told with { Number = told.Number + 1 };
            }

            return tables.Write(batch, mark, out failure);
        }

        public Status Flush(out string? failure)
        {
            failure = null;
            return isAtWork && faults.bug == JournalBug.ReuseUnflushed ? Status.Ok : tables.Flush(out failure);
        }

        public KeyValueStatistics GetStatistics() => tables.GetStatistics();

        public void Dispose() => tables.Dispose();
    }
}
