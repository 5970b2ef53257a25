using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>Bugs that are planted below the store, each as if a line of it were missing.</summary>
internal enum PlantedBug
{
    None,

    /// <summary>The bytes of blocks are never synced.</summary>
    SkipDataSync,

    /// <summary>A block is acknowledged before the log is synced.</summary>
    AcknowledgeEarly,

    /// <summary>The removal of a block is not synced before its room is used again.</summary>
    ReuseTooSoon,

    /// <summary>A new folder's names are not synced.</summary>
    SkipDirectorySync,

    /// <summary>The index entry is put past the log.</summary>
    UnloggedIndex,

    /// <summary>The rise of a drive's generation at its opening is lost: an old bitmap is believed.</summary>
    ForgetGeneration,
}

/// <summary>Puts a planted bug between the store and what it stands on.</summary>
internal sealed class Faults(PlantedBug bug)
{
    /// <summary>What a returned drop promises. Where its sync is left out on purpose, the return of a block is no
    /// finding: only that its bytes were overwritten is.</summary>
    internal Knowledge AfterDrop => bug == PlantedBug.ReuseTooSoon ? Knowledge.Uncertain : Knowledge.Gone;

    internal IDisk On(IDisk disk) => bug is PlantedBug.SkipDataSync or PlantedBug.SkipDirectorySync
        ? new LyingDisk(disk, bug)
        : disk;

    internal IKeyValueStore On(IKeyValueStore store) =>
        bug is PlantedBug.AcknowledgeEarly or PlantedBug.ReuseTooSoon or PlantedBug.UnloggedIndex
            or PlantedBug.ForgetGeneration
            ? new LyingKeyValueStore(store, bug)
            : store;

    private sealed class LyingDisk(IDisk disk, PlantedBug bug) : IDisk
    {
        public Status Open(string path, out IDiskFile? file)
        {
            Status status = disk.Open(path, out file);
            if (file is not null && bug == PlantedBug.SkipDataSync) { file = new LyingFile(file); }
            return status;
        }

        public Status Create(string path, out IDiskFile? file) => disk.Create(path, out file);

        public Status CreateDirectory(string path) => disk.CreateDirectory(path);

        public Status List(string path, List<string> names) => disk.List(path, names);

        public Status DeleteFile(string path) => disk.DeleteFile(path);

        public Status DeleteDirectory(string path) => disk.DeleteDirectory(path);

        public Status Rename(string from, string to) => disk.Rename(from, to);

        public Status SyncDirectory(string path) =>
            bug == PlantedBug.SkipDirectorySync ? Status.Ok : disk.SyncDirectory(path);

        public Status GetSpace(out DiskSpace space) => disk.GetSpace(out space);

        public Status TryLock(string path, out IDisposable? heldLock) => disk.TryLock(path, out heldLock);
    }

    private sealed class LyingFile(IDiskFile file) : IDiskFile
    {
        public Status GetLength(out long length) => file.GetLength(out length);

        public Status Read(long offset, Span<byte> destination, out int read) =>
            file.Read(offset, destination, out read);

        public Status Write(long offset, ReadOnlySpan<byte> source) => file.Write(offset, source);

        public Status Sync() => Status.Ok;

        public Status SetLength(long length) => file.SetLength(length);

        public Status PunchHole(long offset, long length) => file.PunchHole(offset, length);

        public void Prefetch(long offset, long length) => file.Prefetch(offset, length);

        public void Dispose() => file.Dispose();
    }

    private sealed class LyingKeyValueStore(IKeyValueStore store, PlantedBug bug) : IKeyValueStore
    {
        private bool lastDroppedBlocks;

        public bool IsFailed => store.IsFailed;

        public string? Failure => store.Failure;

        public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => store.TryGet(family, key, value);

        public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
            store.OpenCursor(family, from, to);

        public IKeyValueSnapshot CreateSnapshot() => store.CreateSnapshot();

        public Status Write(KeyValueBatch batch, bool logged)
        {
            bool putsBlocks = false;
            bool raisesGeneration = false;
            lastDroppedBlocks = false;
            foreach (KeyValueBatch.Change change in batch)
            {
                putsBlocks |= change is { Family: Family.Block, Operation: KeyValueOperation.Put };
                lastDroppedBlocks |= change is { Family: Family.Block, Operation: KeyValueOperation.Delete };
                raisesGeneration |= change.Family == Family.System && DriveFolderRecord.TryReadKey(change.Key, out _)
                    && DriveFolderRecord.Read(change.Value, out DriveFolderRecord record) == Status.Ok
                    && record.Generation > 0 && record.State == DriveFolderState.Active;
            }

            if (raisesGeneration && bug == PlantedBug.ForgetGeneration) { return Status.Ok; }
            return store.Write(batch, logged && !(putsBlocks && bug == PlantedBug.UnloggedIndex));
        }

        public Status SyncLog() => bug == PlantedBug.AcknowledgeEarly || (bug == PlantedBug.ReuseTooSoon && lastDroppedBlocks)
            ? Status.Ok
            : store.SyncLog();

        public KeyValueStatistics GetStatistics() => store.GetStatistics();

        public void Dispose() => store.Dispose();
    }
}
