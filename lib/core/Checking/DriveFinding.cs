namespace KvFs.Core;

/// <summary>What a check of a drive can find wrong.</summary>
public enum FindingKind : byte
{
    /// <summary>A record cannot be read, or its key or payload is none that we write. The check of its kind ends there.
    /// </summary>
    DamagedRecord = 1,

    /// <summary>There is no root directory.</summary>
    NoRoot = 2,

    /// <summary>A record belongs to a VNode that does not exist, or cannot have it.</summary>
    StrayRecord = 3,

    /// <summary>A name leads to a VNode that does not exist.</summary>
    DanglingName = 4,

    /// <summary>A name says another kind than its VNode has.</summary>
    WrongKind = 5,

    /// <summary>A directory's size is not its number of entries.</summary>
    WrongEntryCount = 6,

    /// <summary>A VNode's nlink is not what its names, or its subdirectories, make it.</summary>
    WrongLinkCount = 7,

    /// <summary>No name leads to a VNode that should have one.</summary>
    NoName = 8,

    /// <summary>More names than one lead to a VNode where it has no link records for them.</summary>
    ExtraName = 9,

    /// <summary>A name that is not where the VNode's parent, or a link record, says it should be.</summary>
    WrongParent = 10,

    /// <summary>A directory's parents lead to nothing, or around in a circle. (To a removed directory they may: that is a
    /// tree that is being removed, or restored.)</summary>
    Unreachable = 11,

    /// <summary>A VNode without names is on no list of orphans: nobody would ever remove it.</summary>
    UnlistedOrphan = 12,

    /// <summary>A VNode with names is on the list of orphans.</summary>
    FalseOrphan = 13,

    /// <summary>A flag of a VNode does not fit its records.</summary>
    WrongFlags = 14,

    /// <summary>A symlink's target is missing, or not as long as its size.</summary>
    WrongTarget = 15,

    /// <summary>A file's backed bytes are not what its slices back.</summary>
    WrongBackedBytes = 16,

    /// <summary>Data lies behind a file's end.</summary>
    DataBehindEnd = 17,

    /// <summary>The drive's count of VNodes is wrong.</summary>
    WrongUsedInodes = 18,

    /// <summary>The drive's count of used bytes is wrong.</summary>
    WrongUsedBytes = 19,

    /// <summary>A block's count of references, or of live bytes, is not what slices and history make it.</summary>
    WrongBlockUse = 20,
}

/// <summary>One thing that is wrong with a drive.</summary>
/// <param name="Kind">What.</param>
/// <param name="Node">The VNode; of <see cref="FindingKind.WrongBlockUse"/> none.</param>
/// <param name="Other">The other one that it is about: of a name, the child.</param>
/// <param name="Expected">What the other records say it should be.</param>
/// <param name="Found">What is stored.</param>
/// <param name="Detail">For people: the name, the key, the block. Bytes of no certain encoding are shown as hex.</param>
public sealed record DriveFinding(
    FindingKind Kind, VNodeId Node, VNodeId Other, ulong Expected, ulong Found, string Detail)
{
    /// <summary>Whether <see cref="RepairDrive"/> mends it: only what other records prove, and what discards nothing.
    /// </summary>
    public bool IsRepairable => Kind is FindingKind.WrongEntryCount or FindingKind.WrongLinkCount or FindingKind.NoName
        or FindingKind.UnlistedOrphan or FindingKind.FalseOrphan or FindingKind.WrongFlags
        or FindingKind.WrongBackedBytes or FindingKind.WrongUsedInodes or FindingKind.WrongUsedBytes;
}

/// <summary>Takes what a check finds, one by one.</summary>
public interface IFindingSink
{
    void Add(DriveFinding finding);
}
