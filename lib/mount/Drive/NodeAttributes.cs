using KvFs.Core;

namespace KvFs.Mount;

/// <summary>A VNode as the kernel wants it.</summary>
internal static class NodeAttributes
{
    /// <summary>The preferred size of I/O that programs see: a page. (The kernel reads ahead and joins writes itself,
    /// and takes this for the alignment of direct I/O.)</summary>
    private const uint PreferredBytes = 4096;

    /// <summary>The unit of stat's block counts.</summary>
    private const int BlockBytes = 512;

    /// <summary>All that statx(2) can ask for up to the birth time.</summary>
    private const uint StatxMask = 0xFFF;

    private const int MinorBits = 20;
    private const uint MinorMask = (1 << MinorBits) - 1;

    /// <summary>Mode with the kind's bits.</summary>
    public static uint FullMode(in VNode node) => KindBits(node.Kind) | node.Mode;

    /// <summary>The type of a directory entry.</summary>
    public static uint EntryType(VNodeKind kind) => FileModeBits.EntryType(KindBits(kind));

    public static FuseAttr ToAttr(in VNode node, ulong nodeId) => new()
    {
        Ino = nodeId,
        Size = node.Size,
        Blocks = Blocks(node),
        Atime = (ulong)node.AccessTime.Seconds,
        Mtime = (ulong)node.ModifyTime.Seconds,
        Ctime = (ulong)node.ChangeTime.Seconds,
        Atimensec = node.AccessTime.SubsecondNanoseconds,
        Mtimensec = node.ModifyTime.SubsecondNanoseconds,
        Ctimensec = node.ChangeTime.SubsecondNanoseconds,
        Mode = FullMode(node),
        Nlink = node.Nlink,
        Uid = node.Uid,
        Gid = node.Gid,
        Rdev = node.Rdev,
        Blksize = PreferredBytes,
    };

    public static FuseStatx ToStatx(in VNode node, ulong nodeId) => new()
    {
        Mask = StatxMask,
        Blksize = PreferredBytes,
        Nlink = node.Nlink,
        Uid = node.Uid,
        Gid = node.Gid,
        Mode = (ushort)FullMode(node),
        Ino = nodeId,
        Size = node.Size,
        Blocks = Blocks(node),
        Atime = ToTime(node.AccessTime),
        Btime = ToTime(node.BirthTime),
        Ctime = ToTime(node.ChangeTime),
        Mtime = ToTime(node.ModifyTime),
        RdevMajor = Major(node.Rdev),
        RdevMinor = Minor(node.Rdev),
    };

    /// <summary>The kind of a mode; false for bits that are no kind.</summary>
    public static bool TryGetKind(uint mode, out VNodeKind kind)
    {
        kind = (mode & FileModeBits.KindMask) switch
        {
            0 or FileModeBits.Regular => VNodeKind.File,
            FileModeBits.CharacterDevice => VNodeKind.CharacterDevice,
            FileModeBits.BlockDevice => VNodeKind.BlockDevice,
            FileModeBits.Fifo => VNodeKind.Fifo,
            FileModeBits.Socket => VNodeKind.Socket,
            _ => default,
        };
        return kind != default;
    }

    private static uint KindBits(VNodeKind kind) => kind switch
    {
        VNodeKind.Directory => FileModeBits.Directory,
        VNodeKind.Symlink => FileModeBits.Symlink,
        VNodeKind.CharacterDevice => FileModeBits.CharacterDevice,
        VNodeKind.BlockDevice => FileModeBits.BlockDevice,
        VNodeKind.Fifo => FileModeBits.Fifo,
        VNodeKind.Socket => FileModeBits.Socket,
        _ => FileModeBits.Regular,
    };

    private static ulong Blocks(in VNode node) => (node.AllocatedBytes + BlockBytes - 1) / BlockBytes;

    private static FuseSxTime ToTime(Timestamp time) =>
        new() { TvSec = time.Seconds, TvNsec = time.SubsecondNanoseconds };

    // The kernel's 32-bit encoding: minor's low 8 bits, 12 bits of major, minor's high 12 bits.
    private static uint Major(uint rdev) => (rdev >> 8) & 0xFFF;

    private static uint Minor(uint rdev) => ((rdev & 0xFF) | ((rdev >> 12) & 0xFFF00)) & MinorMask;
}
