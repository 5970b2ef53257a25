using System.Runtime.InteropServices;
using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

/// <summary>What went wrong, by the kind that RocksDB gave it.</summary>
public enum RocksErrorCode
{
    /// <summary>A text that this version does not know.</summary>
    Unknown = 0,
    NotFound,

    /// <summary>Bytes on disk are not what was written.</summary>
    Corruption,
    NotSupported,

    /// <summary>The caller's mistake, or a folder that does not fit the options: it exists, lacks a family, and so
    /// on.</summary>
    InvalidArgument,
    IoError,

    /// <summary>The file system is full.</summary>
    NoSpace,

    /// <summary>Another process, or another opening in this one, holds the folder.</summary>
    Locked,
    MergeInProgress,
    Incomplete,
    ShutdownInProgress,
    TimedOut,
    Aborted,
    Busy,
    Expired,
    TryAgain,
    CompactionTooLarge,
    ColumnFamilyDropped,
}

/// <summary>Turns the strings, which are all that the C API says of an error, into codes.</summary>
/// <remarks>Source: Status::ToString of RocksDB 7.8: kind, detail of the kind, then free text. Only the words that
/// RocksDB itself writes are looked at: the system's own messages may be translated, and paths may hold any
/// text.</remarks>
internal static unsafe class RocksError
{
    private static readonly (string Prefix, RocksErrorCode Code)[] Kinds =
    [
        // The details of an IO error come first: the first match counts.
        ("IO error: No space left on device", RocksErrorCode.NoSpace),
        ("IO error: Space limit reached", RocksErrorCode.NoSpace),
        ("IO error: lock hold by current process", RocksErrorCode.Locked),
        ("IO error: While lock file: ", RocksErrorCode.Locked),
        ("IO error: ", RocksErrorCode.IoError),
        ("NotFound: ", RocksErrorCode.NotFound),
        ("Corruption: ", RocksErrorCode.Corruption),
        ("Not implemented: ", RocksErrorCode.NotSupported),
        ("Invalid argument: ", RocksErrorCode.InvalidArgument),
        ("Merge in progress: ", RocksErrorCode.MergeInProgress),
        ("Result incomplete: ", RocksErrorCode.Incomplete),
        ("Shutdown in progress: ", RocksErrorCode.ShutdownInProgress),
        ("Operation timed out: ", RocksErrorCode.TimedOut),
        ("Operation aborted: ", RocksErrorCode.Aborted),
        ("Resource busy: ", RocksErrorCode.Busy),
        ("Operation expired: ", RocksErrorCode.Expired),
        ("Operation failed. Try again.: ", RocksErrorCode.TryAgain),
        ("Compaction too large: ", RocksErrorCode.CompactionTooLarge),
        ("Column family dropped: ", RocksErrorCode.ColumnFamilyDropped),
    ];

    internal static RocksErrorCode Parse(string message)
    {
        foreach ((string prefix, RocksErrorCode code) in Kinds)
        {
            if (message.StartsWith(prefix, StringComparison.Ordinal)) { return code; }
        }
        return RocksErrorCode.Unknown;
    }

    /// <summary>Throws if a call left an error, and frees it.</summary>
    internal static void ThrowIfSet(byte* error)
    {
        if (error is not null) { Throw(error); }
    }

    private static void Throw(byte* error)
    {
        string message = TakeString(error);
        throw new RocksException(Parse(message), message);
    }

    /// <summary>Copies a string that the library handed over, and frees it.</summary>
    internal static string TakeString(byte* text)
    {
        try
        {
            return ReadString(text);
        }
        finally
        {
            NativeMethods.rocksdb_free(text);
        }
    }

    /// <summary>Copies a string that stays the library's.</summary>
    internal static string ReadString(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? "";
}
