namespace KvFs.Core;

/// <summary>What every key of the <c>block</c> family begins with, so that one range holds a drive's records of a kind.</summary>
/// <remarks>Layout, 18 bytes: 0-15: RUID, big-endian; 16: kind; 17: key version. Source: docs/format.md#block.</remarks>
internal static class BlockFamilyKey
{
    public const int PrefixSize = 18;

    /// <summary>What no key of the drive's records of a kind comes before.</summary>
    public static void WritePrefix(DriveId drive, byte kind, byte version, Span<byte> key)
    {
        drive.Write(key);
        key[16] = kind;
        key[17] = version;
    }

    /// <summary>What every key of the drive's records of a kind comes before.</summary>
    public static void WriteEnd(DriveId drive, byte kind, byte version, Span<byte> key) => WritePrefix(drive, kind, (byte)(version + 1), key);

    /// <summary>Whether a key of at least <see cref="PrefixSize"/> bytes is one of that kind and version.</summary>
    public static bool IsOf(ReadOnlySpan<byte> key, byte kind, byte version) => key[16] == kind && key[17] == version;
}
