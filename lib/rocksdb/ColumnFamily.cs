using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

/// <summary>A family of an open database: a key space of its own that shares the log with the others.</summary>
/// <remarks>Lives as long as its database, which alone disposes it. Thread safe.</remarks>
public sealed class ColumnFamily
{
    internal ColumnFamily(RocksDatabase database, string name, ColumnFamilyHandle handle)
    {
        Database = database;
        Name = name;
        Handle = handle;
    }

    public string Name { get; }

    /// <summary>As it stands in the data of batches; never reused in a database.</summary>
    public uint Id => Handle.Id;

    internal RocksDatabase Database { get; }

    internal ColumnFamilyHandle Handle { get; }

    public override string ToString() => Name;
}
