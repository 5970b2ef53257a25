namespace KvFs.Core;

/// <summary>The bounds that hold everywhere. Each has its unit and its reason.</summary>
public static class Limits
{
    /// <summary>Bytes of one file name: what Linux (NAME_MAX) allows.</summary>
    public const int NameBytes = 255;

    /// <summary>Bytes of a symlink's target: Linux's PATH_MAX less its NUL.</summary>
    public const int SymlinkBytes = 4095;

    /// <summary>Bytes of a file: 16 TiB, as ext4 with 4 KiB blocks; keeps cluster numbers within 18 bits.</summary>
    public const ulong FileBytes = 16UL << 40;

    /// <summary>Bytes of logical space that one cluster spans.</summary>
    public const int ClusterBytes = 64 << 20;

    /// <summary>Bytes of the largest block.</summary>
    public const int BlockBytes = 16 << 20;

    /// <summary>Bytes that a slice record may hold itself. More goes into a block: RocksDB rewrites values when it
    /// compacts.</summary>
    public const int InlineSliceBytes = 4096;

    /// <summary>Bytes under one checksum of a block.</summary>
    public const int ChecksumUnitBytes = 64 << 10;

    /// <summary>Bytes of an extended attribute's value: Linux's XATTR_SIZE_MAX.</summary>
    public const int XattrValueBytes = 64 << 10;

    /// <summary>Bytes of an extended attribute's name: Linux's XATTR_NAME_MAX.</summary>
    public const int XattrNameBytes = 255;

    /// <summary>Bytes of all attributes of one VNode, names and values: so that a VNode goes, or is restored, in one
    /// transaction. More than ext4 has room for.</summary>
    public const int XattrTotalBytes = 512 << 10;

    /// <summary>Bytes of all attribute names of one VNode, with their NULs: Linux's XATTR_LIST_MAX.</summary>
    public const int XattrListBytes = 64 << 10;

    /// <summary>Hard links of one file, or subdirectories of one directory: ext4's bound.</summary>
    public const uint Links = 65_000;

    /// <summary>Delta slices of one cluster above which it is worth folding.</summary>
    public const int FoldSlices = 64;

    /// <summary>Delta slices of one cluster above which writers wait for the fold: bounds the cost of a read.</summary>
    public const int MaxSlices = 4096;

    /// <summary>Bytes of one transaction's batch: bounds a log entry, and so what a replica must buffer.</summary>
    public const int TransactionBytes = 4 << 20;

    /// <summary>Bytes of batch behind which an operation that works in steps stops: far enough below
    /// <see cref="TransactionBytes"/> for the largest record that may still follow, and short for the shard's loop.</summary>
    public const int StepBytes = 1 << 20;

    /// <summary>Hidden bytes of one cluster above which it is worth folding, however few its slices: what overwritten blocks
    /// still occupy on disk.</summary>
    public const ulong FoldHiddenBytes = 16 << 20;

    /// <summary>Hidden bytes of one cluster from which on it is worth folding if no more than these are shown: a small file
    /// that is overwritten in place occupies at most twice its size, and this.</summary>
    public const ulong FoldHalfHiddenBytes = 256 << 10;

    /// <summary>Bytes below which a gap between backed runs may be filled when a cluster is folded: what other file systems
    /// have as their block.</summary>
    public const int FillBytes = 4096;

    /// <summary>Runs of one folded cluster at the most: with all small gaps filled and all small runs joined there are no
    /// more. Bounds a base record to 720 KiB.</summary>
    public const int ClusterRuns = (ClusterBytes / (FillBytes / 2)) + 1;

    /// <summary>Origins from which on a clone is flattened in the background: a read asks each of them in turn.</summary>
    public const int CloneDepth = 8;

    /// <summary>Origins of one clone, at the most: who clones clones faster than they are flattened is asked to wait.</summary>
    public const int MaxCloneDepth = 32;

    /// <summary>Drives whose blocks one folded cluster may name: what its record has a byte for. A fold copies what would
    /// be more.</summary>
    public const int ClusterOwners = 255;

    /// <summary>Snapshots that one drive may retain: they are listed in the drive's record.</summary>
    public const int Snapshots = 1024;

    /// <summary>Bytes of a snapshot's or a drive's name: what a Kubernetes object name may have.</summary>
    public const int ObjectNameBytes = 253;
}
