using System.Reflection;
using System.Runtime.InteropServices;

namespace KvFs.RocksDb.Native;

/// <summary>Finds the RocksDB that this binding was written against.</summary>
/// <remarks>Debian's runtime package installs <c>librocksdb.so.7.8</c> only; the unversioned link that the loader would
/// look for comes with the -dev package, and may point to another version whose C API differs.</remarks>
internal static class NativeLibraryLoader
{
    /// <summary>The name in every import; never a file.</summary>
    internal const string LibraryName = "rocksdb";

    private const string FileName = "librocksdb.so.7.8";

    internal static void Register() =>
        NativeLibrary.SetDllImportResolver(typeof(NativeLibraryLoader).Assembly, Resolve);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath)
    {
        if (name != LibraryName) { return 0; }
        if (NativeLibrary.TryLoad(FileName, assembly, searchPath, out nint library)) { return library; }
        throw new DllNotFoundException(
            $"{FileName} is not installed. On Debian 12: apt-get install librocksdb7.8");
    }
}
