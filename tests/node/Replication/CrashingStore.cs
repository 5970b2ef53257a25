using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Replication;

/// <summary>A real store that tells a test of each write and sync, and can fail at one and at all behind it.</summary>
internal sealed class CrashingStore(IKeyValueStore store) : IKeyValueStore
{
    private int steps;

    /// <summary>The write or sync, from 1, that fails, and with it all later ones; 0: none does.</summary>
    public int FailsAt { get; set; }

    /// <summary>How it fails.</summary>
    public Status FailsWith { get; set; } = Status.IoError;

    /// <summary>Nothing can be read any more.</summary>
    public bool FailsReads { get; set; }

    /// <summary>Is told the number of a write or sync that was done.</summary>
    public Action<int>? Done { get; set; }

    public int Steps => steps;

    public bool IsFailed => store.IsFailed;

    public string? Failure => store.Failure;

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => FailsReads
        ? throw new StorageException(Status.IoError, "The disk gives nothing back.")
        : store.TryGet(family, key, value);

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        store.OpenCursor(family, from, to);

    public IKeyValueSnapshot CreateSnapshot() => store.CreateSnapshot();

    public Status Write(KeyValueBatch batch, bool logged) => Step(() => store.Write(batch, logged));

    public Status SyncLog() => Step(store.SyncLog);

    public KeyValueStatistics GetStatistics() => store.GetStatistics();

    public void Dispose() => store.Dispose();

    private Status Step(Func<Status> todo)
    {
        int step = ++steps;
        if (FailsAt != 0 && step >= FailsAt) { return FailsWith; }
        Status status = todo();
        Done?.Invoke(step);
        return status;
    }
}
