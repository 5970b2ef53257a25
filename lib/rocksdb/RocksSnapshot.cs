using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

/// <summary>A state of the whole database that later writes do not touch.</summary>
/// <remarks>Thread safe. Keeps its database open, and what it sees from being compacted away, until it is disposed.
/// </remarks>
public sealed class RocksSnapshot : IDisposable
{
    internal RocksSnapshot(RocksDatabase database, SnapshotHandle handle)
    {
        Database = database;
        Handle = handle;
    }

    internal RocksDatabase Database { get; }

    internal SnapshotHandle Handle { get; }

    public void Dispose() => Handle.Dispose();
}
