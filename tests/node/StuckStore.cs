using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests;

/// <summary>A real store on a disk that answers no sync while a test wants it so.</summary>
internal sealed class StuckStore(IKeyValueStore store) : IKeyValueStore
{
    private readonly DiskWatch watch = new(TimeProvider.System);
    private readonly ManualResetEventSlim answers = new(true);

    public bool IsStuck
    {
        get => !answers.IsSet;
        set
        {
            if (value) { answers.Reset(); }
            else { answers.Set(); }
        }
    }

    public bool IsFailed => store.IsFailed;

    public string? Failure => store.Failure;

    public TimeSpan Owed() => watch.Owed();

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => store.TryGet(family, key, value);

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        store.OpenCursor(family, from, to);

    public IKeyValueSnapshot CreateSnapshot() => store.CreateSnapshot();

    public Status Write(KeyValueBatch batch, bool logged) => store.Write(batch, logged);

    public Status SyncLog()
    {
        int place = watch.Begin();
        answers.Wait();
        Status status = store.SyncLog();
        watch.End(place);
        return status;
    }

    public KeyValueStatistics GetStatistics() => store.GetStatistics();

    public void Dispose()
    {
        answers.Dispose();
        store.Dispose();
    }
}
