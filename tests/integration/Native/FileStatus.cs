using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;

namespace KvFs.Integration.Tests.Native;

/// <summary>What statx(2) says of a file.</summary>
internal readonly record struct FileStatus(
    uint Mode, uint Links, uint Owner, uint Group, ulong Size, long ModifiedSeconds, uint ModifiedNanoseconds, uint DeviceMajor,
    uint DeviceMinor)
{
    private const uint KindMask = 0xF000;
    private const uint DirectoryKind = 0x4000;
    private const uint FileKind = 0x8000;
    private const uint LinkKind = 0xA000;
    private const uint FifoKind = 0x1000;

    /// <summary>Bytes of struct statx.</summary>
    private const int StructBytes = 256;

    public bool IsDirectory => (Mode & KindMask) == DirectoryKind;

    public bool IsFile => (Mode & KindMask) == FileKind;

    public bool IsFifo => (Mode & KindMask) == FifoKind;

    public bool IsLink => (Mode & KindMask) == LinkKind;

    /// <summary>Of a name.</summary>
    /// <returns>0, or the errno.</returns>
    public static int TryGet(string path, bool follow, out FileStatus status) =>
        TryGet(LibC.AT_FDCWD, path, follow ? 0 : LibC.AT_SYMLINK_NOFOLLOW, out status);

    /// <summary>Of what is open.</summary>
    /// <returns>0, or the errno.</returns>
    public static int TryGet(int descriptor, out FileStatus status) =>
        TryGet(descriptor, string.Empty, LibC.AT_EMPTY_PATH, out status);

    private static unsafe int TryGet(int folder, string path, int flags, out FileStatus status)
    {
        byte* raw = stackalloc byte[StructBytes];
        if (LibC.statx(folder, path, flags, LibC.STATX_BASIC_STATS, raw) != 0)
        {
            status = default;
            return Marshal.GetLastPInvokeError();
        }

        // Offsets of struct statx (linux/stat.h); the same on every architecture. The span is the buffer above.
        ReadOnlySpan<byte> bytes = new(raw, StructBytes);
        status = new(
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[28..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[20..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[112..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[120..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[128..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[132..]));
        return 0;
    }

    public string ModeText => "0" + Convert.ToString(Mode, 8);

    public string TimeText => string.Create(
        CultureInfo.InvariantCulture, $"{ModifiedSeconds}.{ModifiedNanoseconds:D9}");
}
