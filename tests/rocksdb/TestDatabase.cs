using System.Text;

namespace KvFs.RocksDb.Tests;

/// <summary>A folder that is gone when the test is.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("kvfs-rocksdb-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);

    /// <summary>What a crash would leave: the files as they are now, in a new folder.</summary>
    public string Copy(string from, string to)
    {
        string target = this[to];
        Directory.CreateDirectory(target);
        foreach (string file in Directory.GetFiles(this[from]))
        {
            File.Copy(file, System.IO.Path.Combine(target, System.IO.Path.GetFileName(file)));
        }
        return target;
    }
}

/// <summary>A database in a temporary folder.</summary>
internal sealed class TestDatabase : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public TestDatabase(RocksOptions? options = null, params ColumnFamilyOptions[] families) =>
        Database = RocksDatabase.Open(_folder["db"], options ?? new RocksOptions(), families);

    public RocksDatabase Database { get; }

    public ColumnFamily Default => Database.DefaultFamily;

    public TemporaryFolder Folder => _folder;

    public void Dispose()
    {
        Database.Dispose();
        _folder.Dispose();
    }
}

internal static class TestBytes
{
    public static byte[] B(this string text) => Encoding.UTF8.GetBytes(text);

    public static string? Text(this byte[]? bytes) => bytes is null ? null : Encoding.UTF8.GetString(bytes);

    public static string Text(this ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);

    public static string? GetText(this RocksDatabase database, string key, ColumnFamily? family = null) =>
        database.Get(family ?? database.DefaultFamily, key.B()).Text();

    public static void PutText(this RocksDatabase database, string key, string value, WriteFlags flags = 0) =>
        database.Put(database.DefaultFamily, key.B(), value.B(), flags);

    /// <summary>Asserts that a call fails with a code, and hands its message over.</summary>
    public static string Fails(RocksErrorCode code, Action call)
    {
        RocksException thrown = Assert.Throws<RocksException>(call);
        Assert.Equal(code, thrown.Code);
        return thrown.Message;
    }
}
