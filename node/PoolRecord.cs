using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node;

/// <summary>Whether a data folder belongs to a node of its own, or to one of several, and of which pool.</summary>
/// <remarks>Key: "P", version 1. Value: an envelope with the pool's id, 16 bytes, big-endian. What a log's end means differs between
/// the two, so neither opens the other's folder. Source: docs/format.md#system.</remarks>
internal static class PoolRecord
{
    private static ReadOnlySpan<byte> Key => "P\x01"u8;

    /// <summary>Whether a folder is that of a node of a pool.</summary>
    public static bool IsOfMember(IKeyValueStore store) => store.TryGet(Family.System, Key, new ByteBuffer());

    /// <summary>The pool that a folder is of; null: it is of none.</summary>
    /// <exception cref="StorageException">That cannot be read.</exception>
    public static PoolId? Find(IKeyValueStore store)
    {
        ByteBuffer value = new();
        if (!store.TryGet(Family.System, Key, value)) { return null; }
        Status read = RecordEnvelope.Read(value.Span, out _, out ReadOnlySpan<byte> known);
        if (read == Status.Ok && known.Length != PoolId.Size) { read = Status.Corrupt; }
        return read == Status.Ok
            ? PoolId.Read(known)
            : throw new StorageException(read, $"What says which pool this data folder belongs to cannot be read ({read}). {StorageException.AdviceFor(read)}");
    }

    /// <summary>A folder is of one pool, and a map of another.</summary>
    public static StorageException OfAnother(PoolId folder, PoolId map) => new(
        Status.InUse, $"This data folder belongs to pool {folder}, and the map is that of pool {map}. Name another folder, or another authority.");

    /// <exception cref="StorageException">A node of its own has drives here.</exception>
    public static void CheckFolderOfMember(IKeyValueStore store)
    {
        if (IsOfMember(store)) { return; }
        using IRecordCursor records = store.OpenCursor(Family.Namespace, [], []);
        if (!records.MoveNext()) { return; }
        throw new StorageException(
            Status.InUse, "This data folder belongs to a node of its own (`kvfs up`). Name an empty one for a node of a pool.");
    }

    /// <exception cref="StorageException">It is that of a node of a pool.</exception>
    public static void CheckFolderOfOne(IKeyValueStore store)
    {
        if (!IsOfMember(store)) { return; }
        throw new StorageException(
            Status.InUse, "This data folder belongs to a node of a pool (`kvfs node`). Name another one for a node of its own.");
    }

    /// <summary>Says, durably, that the folder is of a pool's node.</summary>
    /// <exception cref="StorageException">That cannot be written, or another pool is there.</exception>
    public static void Write(IKeyValueStore store, PoolId pool)
    {
        if (Find(store) is { } known)
        {
            if (known == pool) { return; }
            throw OfAnother(known, pool);
        }

        Span<byte> id = stackalloc byte[PoolId.Size];
        pool.Write(id);
        ByteBuffer value = new();
        RecordEnvelope.Write(default, whiteout: false, id, value);
        KeyValueBatch batch = new();
        batch.Put(Family.System, Key, value.Span);
        Status status = store.Write(batch, logged: true);
        if (status == Status.Ok) { status = store.SyncLog(); }
        if (status != Status.Ok) { throw new StorageException(status, $"The pool could not be recorded in the data folder: {status}."); }
    }
}
