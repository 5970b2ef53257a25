using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

/// <summary>An open RocksDB: ordered keys and values in families, with one write-ahead log for all.</summary>
/// <remarks>
/// Thread safe. <see cref="Dispose"/> bars new calls; the database is closed, and its folder free for others, when the
/// last running call, iterator, snapshot and pinned value is done.
/// Keys and values are bytes, lent for the time of a call; keys order as unsigned bytes.
/// Failures are <see cref="RocksException"/>; use after Dispose is <see cref="ObjectDisposedException"/>; a family or
/// snapshot of another database is <see cref="ArgumentException"/>.
/// </remarks>
public sealed unsafe partial class RocksDatabase : IDisposable
{
    private readonly DatabaseHandle _handle;
    private readonly OptionsHandle _options;
    private readonly bool _countsStatistics;

    private RocksDatabase(DatabaseOpener opened, string path, bool countsStatistics)
    {
        _handle = opened.Database;
        _options = opened.Options;
        _countsStatistics = countsStatistics;
        Path = path;
        ColumnFamily[] families = new ColumnFamily[opened.Names.Length];
        for (int i = 0; i < families.Length; i++)
        {
            families[i] = new ColumnFamily(this, opened.Names[i], opened.Families[i]);
        }
        Families = families;
        DefaultFamily = Family(ColumnFamilyOptions.DefaultName);
    }

    public string Path { get; }

    /// <summary>In the order in which they were asked for; the default one last if it was not.</summary>
    public IReadOnlyList<ColumnFamily> Families { get; }

    public ColumnFamily DefaultFamily { get; }

    /// <summary>Opens a folder for reading and writing, and holds its lock.</summary>
    /// <param name="path">Of the folder.</param>
    /// <param name="options">Of the database as a whole.</param>
    /// <param name="families">All that exist must be named; those that are missing are created. The default family
    /// always exists, and is opened with default options if it is not named.</param>
    /// <exception cref="RocksException">Locked, Corruption, InvalidArgument, IoError, NoSpace.</exception>
    public static RocksDatabase Open(
        string path, RocksOptions options, IReadOnlyList<ColumnFamilyOptions> families)
    {
        Require(path, options);
        return new RocksDatabase(
            DatabaseOpener.Open(path, options, families, readOnly: false), path, options.Statistics);
    }

    /// <summary>Opens a folder as it is, without its lock, and without ever changing it.</summary>
    /// <remarks>Several may do so at once, also beside a writer, whose later writes they do not see. Families that are
    /// not named are left alone; naming one that is not there fails.</remarks>
    /// <exception cref="RocksException">Corruption, InvalidArgument, IoError.</exception>
    public static RocksDatabase OpenReadOnly(
        string path, RocksOptions options, IReadOnlyList<ColumnFamilyOptions> families)
    {
        Require(path, options);
        return new RocksDatabase(
            DatabaseOpener.Open(path, options, families, readOnly: true), path, options.Statistics);
    }

    /// <summary>The families in a folder, as far as its manifest says. The database need not be open.</summary>
    public static IReadOnlyList<string> ListColumnFamilies(string path, RocksOptions options)
    {
        Require(path, options);
        using OptionsHandle native = OptionsBuilder.Create(options);
        byte* error = null;
        nuint count = 0;
        byte** list = NativeMethods.rocksdb_list_column_families(native, path, &count, &error);
        RocksError.ThrowIfSet(error);
        try
        {
            string[] names = new string[(int)count];
            for (int i = 0; i < names.Length; i++) { names[i] = RocksError.ReadString(list[i]); }
            return names;
        }
        finally
        {
            NativeMethods.rocksdb_list_column_families_destroy(list, count);
        }
    }

    /// <summary>Deletes a database's files, and its folder if nothing else is in it. A missing one is no
    /// error.</summary>
    /// <exception cref="RocksException">Locked, IoError.</exception>
    public static void Destroy(string path, RocksOptions options)
    {
        Require(path, options);
        using OptionsHandle native = OptionsBuilder.Create(options);
        byte* error = null;
        NativeMethods.rocksdb_destroy_db(native, path, &error);
        RocksError.ThrowIfSet(error);
    }

    /// <summary>Builds a new manifest from the table and log files that still read. Data may be lost, or come back.
    /// </summary>
    /// <exception cref="RocksException">Locked, Corruption, IoError.</exception>
    public static void Repair(string path, RocksOptions options)
    {
        Require(path, options);
        using OptionsHandle native = OptionsBuilder.Create(options);
        byte* error = null;
        NativeMethods.rocksdb_repair_db(native, path, &error);
        RocksError.ThrowIfSet(error);
    }

    /// <exception cref="ArgumentException">No family of this name was opened.</exception>
    public ColumnFamily Family(string name)
    {
        foreach (ColumnFamily family in Families)
        {
            if (family.Name == name) { return family; }
        }
        throw new ArgumentException($"No family '{name}' was opened in {Path}.", nameof(name));
    }

    public void Dispose()
    {
        foreach (ColumnFamily family in Families) { family.Handle.Dispose(); }
        _handle.Dispose();
        _options.Dispose();
    }

    private static void Require(string path, RocksOptions options)
    {
        RequirePath(path);
        ArgumentNullException.ThrowIfNull(options);
    }

    private static void RequirePath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (path.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException("A path cannot hold a zero byte.", nameof(path));
        }
    }

    private ColumnFamilyHandle Own(ColumnFamily family)
    {
        ArgumentNullException.ThrowIfNull(family);
        if (!ReferenceEquals(family.Database, this))
        {
            throw new ArgumentException($"Family '{family.Name}' belongs to another database.", nameof(family));
        }
        return family.Handle;
    }

    private SnapshotHandle? Own(RocksSnapshot? snapshot)
    {
        if (snapshot is null) { return null; }
        if (!ReferenceEquals(snapshot.Database, this))
        {
            throw new ArgumentException("The snapshot belongs to another database.", nameof(snapshot));
        }
        return snapshot.Handle;
    }
}
