using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests;

/// <summary>A real store on a disk that is full as a test wants it: what is not logged finds no space, which another program
/// took after the log had its entry.</summary>
internal sealed class FullStore(IKeyValueStore store) : IKeyValueStore
{
    public bool IsFull { get; set; }

    public bool IsFailed => store.IsFailed;

    public string? Failure => store.Failure;

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => store.TryGet(family, key, value);

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        store.OpenCursor(family, from, to);

    public IKeyValueSnapshot CreateSnapshot() => store.CreateSnapshot();

    public Status Write(KeyValueBatch batch, bool logged) =>
        IsFull && !logged ? Status.NoSpace : store.Write(batch, logged);

    public Status SyncLog() => store.SyncLog();

    public KeyValueStatistics GetStatistics() => store.GetStatistics();

    public void Dispose() => store.Dispose();
}
