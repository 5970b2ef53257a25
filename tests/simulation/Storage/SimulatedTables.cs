using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation.Storage;

/// <summary>Tables in memory that keep what <see cref="ITableStore"/> promises, and no more: a key-value store to which nothing
/// is logged.</summary>
internal sealed class SimulatedTables(SimulatedKeyValueStore store) : ITableStore
{
    private readonly KeyValueBatch batch = new();

    public string Path => "db";

    internal SimulatedKeyValueStore Store => store;

    private static ReadOnlySpan<byte> MarkKey => "mark"u8;

    public bool TryReadMark(out JournalMark mark)
    {
        mark = default;
        ByteBuffer value = new();
        if (!store.TryGet(Family.System, MarkKey, value)) { return false; }
        Invariant.Check(JournalMark.Read(value.Span, out mark) == Status.Ok);
        return true;
    }

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => store.TryGet(family, key, value);

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        store.OpenCursor(family, from, to);

    public IKeyValueSnapshot CreateSnapshot() => store.CreateSnapshot();

    public Status Write(KeyValueBatch changes, JournalMark? mark, out string? failure)
    {
        failure = null;
        batch.Clear();
        batch.Append(changes);
        if (mark is { } told)
        {
            Span<byte> value = stackalloc byte[JournalMark.Size];
            told.Write(value);
            batch.Put(Family.System, MarkKey, value);
        }

        return store.Write(batch, logged: false);
    }

    public Status Flush(out string? failure)
    {
        failure = null;
        return store.Flush();
    }

    public KeyValueStatistics GetStatistics() => store.GetStatistics();

    public void Dispose()
    {
    }
}
