namespace KvFs.Core;

/// <summary>Makes a VNode and, unless it is to be nameless (O_TMPFILE), a name for it.</summary>
/// <remarks>Permission is the mount's business (default_permissions); ownership, set-gid directories and default ACLs are
/// the operation's.</remarks>
public readonly ref struct CreateRequest
{
    public VNodeId Parent { get; init; }

    /// <summary>1 to 255 bytes without '/' and NUL, not "." or ".."; empty for O_TMPFILE.</summary>
    public ReadOnlySpan<byte> Name { get; init; }

    public VNodeKind Kind { get; init; }

    /// <summary>07777 bits as the caller asked for them, before umask and default ACL.</summary>
    public ushort Mode { get; init; }

    /// <summary>The caller's umask: applied unless the parent has a default ACL.</summary>
    public ushort Umask { get; init; }

    public uint Rdev { get; init; }

    /// <summary>The target, for <see cref="VNodeKind.Symlink"/>: 1 to 4,095 bytes.</summary>
    public ReadOnlySpan<byte> SymlinkTarget { get; init; }

    public Credentials Caller { get; init; }

    /// <summary>The session that holds the new file open from the start; none for what is not opened.</summary>
    public SessionId OpenedBy { get; init; }

    /// <summary>With <see cref="OpenedBy"/> and no name: O_TMPFILE without O_EXCL may be linked later.</summary>
    public bool Nameless { get; init; }

    /// <summary>The VNode's id, one that <see cref="Session"/> was granted and has not used; none: the next of the drive.
    /// </summary>
    public VNodeId Id { get; init; }

    /// <summary>Who asks: an <see cref="Id"/> must come from its grants. The driver fills it in.</summary>
    public SessionId Session { get; init; }

    /// <summary>When it was made, if the client has told its program so already; null: at the transaction's time.</summary>
    public NodeTimes? Times { get; init; }

    /// <summary>Asks that the new file's writes be left with the session: nobody else knows it yet. Null: it does not.</summary>
    public DelegationWish? Wish { get; init; }

    /// <summary>They are left with <see cref="Session"/>. The driver fills it in.</summary>
    public bool Delegated { get; init; }
}

/// <summary>Asks for the writes to a file that is made, and hears whether it has them.</summary>
public sealed class DelegationWish
{
    public bool IsGranted { get; set; }
}

/// <summary>The times of a VNode.</summary>
public readonly record struct NodeTimes(Timestamp Access, Timestamp Modify, Timestamp Change, Timestamp Birth)
{
    /// <summary>Of what was made at a time, and not touched since.</summary>
    public static NodeTimes Made(Timestamp at) => new(at, at, at, at);
}

/// <summary>Gives a VNode that is no directory one more name.</summary>
public readonly ref struct LinkRequest
{
    public VNodeId Node { get; init; }

    public VNodeId NewParent { get; init; }

    public ReadOnlySpan<byte> NewName { get; init; }
}

/// <summary>Takes a name away: of a file (unlink) or of an empty directory (rmdir).</summary>
public readonly ref struct UnlinkRequest
{
    public VNodeId Parent { get; init; }

    public ReadOnlySpan<byte> Name { get; init; }

    /// <summary>True for rmdir: only a directory will do; false for unlink: only another kind will.</summary>
    public bool Directory { get; init; }

    /// <summary>Sessions that hold the VNode open: it becomes their orphan instead of going. The driver fills it in.</summary>
    public ReadOnlySpan<SessionId> Holders { get; init; }
}

/// <summary>What <see cref="RenameRequest"/> may do beside moving. The kernel's numbers (renameat2(2)).</summary>
[Flags]
public enum RenameFlags : uint
{
    None = 0,
    NoReplace = 1,
    Exchange = 2,
    Whiteout = 4,
}

/// <summary>Moves a name, replacing an existing target if the kinds allow it.</summary>
public readonly ref struct RenameRequest
{
    public VNodeId OldParent { get; init; }

    public ReadOnlySpan<byte> OldName { get; init; }

    public VNodeId NewParent { get; init; }

    public ReadOnlySpan<byte> NewName { get; init; }

    public RenameFlags Flags { get; init; }

    /// <summary>Who asks: owns the whiteout device.</summary>
    public Credentials Caller { get; init; }

    /// <summary>Sessions that hold the replaced VNode open. The driver fills it in.</summary>
    public ReadOnlySpan<SessionId> Holders { get; init; }
}

/// <summary>What an unlink or rename did to the VNode that lost a name.</summary>
/// <param name="Info">The VNode after the operation; <see cref="VNodeId.None"/> if nothing lost a name.</param>
/// <param name="Removed">It is gone: nobody holds it.</param>
/// <param name="Orphaned">Its last name is gone, but somebody holds it open.</param>
public readonly record struct UnlinkResult(NodeInfo Info, bool Removed, bool Orphaned)
{
    /// <summary>It is gone for everybody, but too large to remove in one transaction: <c>ReleaseOrphan</c> (with no
    /// session) goes on, step by step.</summary>
    public bool NeedsReaping { get; init; }
}

/// <summary>Which attributes a <see cref="SetAttributesRequest"/> sets.</summary>
[Flags]
public enum AttributeMask : uint
{
    None = 0,
    Mode = 1,
    Uid = 2,
    Gid = 4,
    Size = 8,
    AccessTime = 16,
    ModifyTime = 32,

    /// <summary>Sets the change time to the given one rather than to now (the kernel's writeback asks for it).</summary>
    ChangeTime = 64,

    /// <summary>The access time is the transaction's own time.</summary>
    AccessTimeNow = 128,

    /// <summary>The modify time is the transaction's own time.</summary>
    ModifyTimeNow = 256,

    /// <summary>Clears set-uid, and set-gid where the group may execute: a write or truncate by somebody without
    /// privilege.</summary>
    KillSetId = 512,

    /// <summary>The change time stays: reading moves the access time, and that is no change.</summary>
    KeepChangeTime = 1024,
}

/// <summary>Changes attributes; a smaller size cuts the data off, a larger one leaves a hole.</summary>
public readonly record struct SetAttributesRequest
{
    public VNodeId Node { get; init; }

    public AttributeMask Mask { get; init; }

    public ushort Mode { get; init; }

    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public ulong Size { get; init; }

    public Timestamp AccessTime { get; init; }

    public Timestamp ModifyTime { get; init; }

    public Timestamp ChangeTime { get; init; }
}

/// <summary>How an extended attribute may be set. The kernel's numbers (setxattr(2)).</summary>
public enum XattrMode : byte
{
    Any = 0,
    CreateOnly = 1,
    ReplaceOnly = 2,
}

/// <summary>Sets an extended attribute; <c>system.posix_acl_*</c> in the kernel's binary form also changes the mode.</summary>
public readonly ref struct SetXattrRequest
{
    public VNodeId Node { get; init; }

    public ReadOnlySpan<byte> Name { get; init; }

    public ReadOnlySpan<byte> Value { get; init; }

    public XattrMode Mode { get; init; }

    /// <summary>The kernel asks to clear set-gid with the ACL (FUSE_SETXATTR_ACL_KILL_SGID).</summary>
    public bool KillSetGid { get; init; }
}

/// <summary>Removes an extended attribute; of an ACL, what it said beyond the mode.</summary>
public readonly ref struct RemoveXattrRequest
{
    public VNodeId Node { get; init; }

    public ReadOnlySpan<byte> Name { get; init; }
}
