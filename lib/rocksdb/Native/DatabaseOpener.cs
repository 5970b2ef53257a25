using System.Runtime.InteropServices;

namespace KvFs.RocksDb.Native;

/// <summary>Opens a database with its families, and cleans up if that fails.</summary>
internal sealed unsafe class DatabaseOpener
{
    private DatabaseOpener(
        OptionsHandle options, string[] names, DatabaseHandle database, ColumnFamilyHandle[] families)
    {
        Options = options;
        Names = names;
        Database = database;
        Families = families;
    }

    /// <summary>What the database was opened with; its statistics are read through it.</summary>
    internal OptionsHandle Options { get; }

    internal string[] Names { get; }

    internal DatabaseHandle Database { get; }

    /// <summary>In the order of <see cref="Names"/>.</summary>
    internal ColumnFamilyHandle[] Families { get; }

    internal static DatabaseOpener Open(
        string path, RocksOptions options, IReadOnlyList<ColumnFamilyOptions> families, bool readOnly)
    {
        ColumnFamilyOptions[] all = WithDefault(families);
        BlockCache? ownCache = options.BlockCache is null ? new BlockCache(RocksOptions.DefaultBlockCacheBytes) : null;
        OptionsHandle?[] familyOptions = new OptionsHandle?[all.Length];
        OptionsHandle? databaseOptions = null;
        try
        {
            BlockCacheHandle cache = (options.BlockCache ?? ownCache!).Handle;
            for (int i = 0; i < all.Length; i++) { familyOptions[i] = OptionsBuilder.Create(all[i], cache); }
            databaseOptions = OptionsBuilder.Create(options);
            string[] names = Array.ConvertAll(all, family => family.Name);
            nint[] handles = new nint[all.Length];
            DatabaseHandle database = new(Open(path, databaseOptions, names, familyOptions, handles, readOnly));
            DatabaseOpener opened = new(
                databaseOptions, names, database,
                Array.ConvertAll(handles, family => new ColumnFamilyHandle(database, family)));
            databaseOptions = null;
            return opened;
        }
        finally
        {
            databaseOptions?.Dispose();
            foreach (OptionsHandle? family in familyOptions) { family?.Dispose(); }
            ownCache?.Dispose();
        }
    }

    private static nint Open(
        string path, OptionsHandle options, string[] names, OptionsHandle?[] familyOptions, nint[] handles,
        bool readOnly)
    {
        int count = names.Length;
        nint[] nameBytes = Array.ConvertAll(names, Marshal.StringToCoTaskMemUTF8);
        nint[] optionsList = Array.ConvertAll(familyOptions, family => family!.DangerousGetHandle());
        try
        {
            byte* error = null;
            nint database;
            fixed (nint* namesPointer = nameBytes, optionsPointer = optionsList, handlesPointer = handles)
            {
                database = readOnly
                    ? NativeMethods.rocksdb_open_for_read_only_column_families(
                        options, path, count, (byte**)namesPointer, optionsPointer, handlesPointer, 0, &error)
                    : NativeMethods.rocksdb_open_column_families(
                        options, path, count, (byte**)namesPointer, optionsPointer, handlesPointer, &error);
            }
            // Here, because nothing else holds the families' options in memory while the call runs.
            GC.KeepAlive(familyOptions);
            RocksError.ThrowIfSet(error);
            return database;
        }
        finally
        {
            foreach (nint name in nameBytes) { Marshal.FreeCoTaskMem(name); }
        }
    }

    private static ColumnFamilyOptions[] WithDefault(IReadOnlyList<ColumnFamilyOptions> families)
    {
        ArgumentNullException.ThrowIfNull(families);
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach (ColumnFamilyOptions family in families)
        {
            if (string.IsNullOrEmpty(family.Name) || family.Name.Contains('\0', StringComparison.Ordinal))
            {
                throw new ArgumentException("A family needs a name without zero bytes.", nameof(families));
            }
            if (!names.Add(family.Name))
            {
                throw new ArgumentException($"Family '{family.Name}' is named twice.", nameof(families));
            }
        }
        return names.Contains(ColumnFamilyOptions.DefaultName)
            ? [.. families]
            : [.. families, new ColumnFamilyOptions(ColumnFamilyOptions.DefaultName)];
    }
}
