using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>Reads and changes a POSIX ACL in the form in which the kernel passes it as an extended attribute.</summary>
/// <remarks>Layout, little-endian: 0-3: version 2; then 8 bytes per entry: 0-1: tag; 2-3: permissions (rwx); 4-7: uid or gid
/// of named entries. Order: owner, named users, owning group, named groups, mask, others. Source: acl(5) and the kernel's
/// posix_acl_xattr.h.</remarks>
public static class PosixAcl
{
    public const int HeaderBytes = 4;

    public const int EntryBytes = 8;

    private const uint Version = 2;
    private const uint NoId = uint.MaxValue;
    private const ushort PermissionBits = 7;
    private const ushort ModeBits = 0b111_111_111;

    private enum Tag : ushort
    {
        Owner = 0x01,
        User = 0x02,
        OwningGroup = 0x04,
        Group = 0x08,
        Mask = 0x10,
        Others = 0x20,
    }

    /// <summary>The name of the attribute that decides about access.</summary>
    public static ReadOnlySpan<byte> AccessName => "system.posix_acl_access"u8;

    /// <summary>The name of a directory's attribute that new VNodes in it inherit.</summary>
    public static ReadOnlySpan<byte> DefaultName => "system.posix_acl_default"u8;

    /// <summary>An ACL without entries: setting it means removing.</summary>
    public static bool IsEmpty(ReadOnlySpan<byte> acl) => acl.Length <= HeaderBytes;

    /// <summary><see cref="Status.Ok"/> for a complete and ordered ACL or an empty one; <see cref="Status.NotSupported"/> for
    /// another version of the form; <see cref="Status.Invalid"/> for anything else.</summary>
    public static Status Validate(ReadOnlySpan<byte> acl)
    {
        if (acl.IsEmpty) { return Status.Ok; }
        if (acl.Length < HeaderBytes || (acl.Length - HeaderBytes) % EntryBytes != 0) { return Status.Invalid; }
        if (BinaryPrimitives.ReadUInt32LittleEndian(acl) != Version) { return Status.NotSupported; }
        if (IsEmpty(acl)) { return Status.Ok; }

        Tag last = default;
        uint seen = 0;
        for (int at = HeaderBytes; at < acl.Length; at += EntryBytes)
        {
            Tag tag = TagAt(acl, at);
            bool named = tag is Tag.User or Tag.Group;
            bool known = named || tag is Tag.Owner or Tag.OwningGroup or Tag.Mask or Tag.Others;
            bool ordered = tag > last || (named && tag == last);
            bool identified = !named || BinaryPrimitives.ReadUInt32LittleEndian(acl[(at + 4)..]) != NoId;
            if (!known || !ordered || !identified || PermissionsAt(acl, at) > PermissionBits) { return Status.Invalid; }
            last = tag;
            seen |= (uint)tag;
        }

        const uint Minimum = (uint)(Tag.Owner | Tag.OwningGroup | Tag.Others);
        bool needsMask = (seen & (uint)(Tag.User | Tag.Group)) != 0;
        bool complete = (seen & Minimum) == Minimum && (!needsMask || (seen & (uint)Tag.Mask) != 0);
        return complete ? Status.Ok : Status.Invalid;
    }

    /// <summary>Puts what an access ACL says into a mode; false if the mode says all of it, so that it need not be kept.
    /// </summary>
    public static bool ToMode(ReadOnlySpan<byte> acl, ref ushort mode)
    {
        bool extended = false;
        int owner = 0;
        int group = 0;
        int mask = -1;
        int others = 0;
        for (int at = HeaderBytes; at < acl.Length; at += EntryBytes)
        {
            int permissions = PermissionsAt(acl, at);
            switch (TagAt(acl, at))
            {
                case Tag.Owner: owner = permissions; break;
                case Tag.OwningGroup: group = permissions; break;
                case Tag.Others: others = permissions; break;
                case Tag.Mask: mask = permissions; extended = true; break;
                default: extended = true; break;
            }
        }

        mode = (ushort)((mode & ~ModeBits) | (owner << 6) | ((mask < 0 ? group : mask) << 3) | others);
        return extended;
    }

    /// <summary>Changes an access ACL as chmod(2) does: the group bits go to the mask, if there is one.</summary>
    public static void Change(Span<byte> acl, ushort mode)
    {
        int groupAt = -1;
        int maskAt = -1;
        for (int at = HeaderBytes; at < acl.Length; at += EntryBytes)
        {
            switch (TagAt(acl, at))
            {
                case Tag.Owner: SetPermissions(acl, at, mode >> 6); break;
                case Tag.Others: SetPermissions(acl, at, mode); break;
                case Tag.OwningGroup: groupAt = at; break;
                case Tag.Mask: maskAt = at; break;
                default: break;
            }
        }

        SetPermissions(acl, maskAt < 0 ? groupAt : maskAt, mode >> 3);
    }

    /// <summary>Turns a copy of a directory's default ACL into the access ACL of what is made in it: both it and the mode
    /// keep only what the other allows. False if the mode says all of it, so that it need not be kept.</summary>
    public static bool Inherit(Span<byte> acl, ref ushort mode)
    {
        int groupAt = -1;
        int maskAt = -1;
        bool extended = false;
        int permitted = mode;
        for (int at = HeaderBytes; at < acl.Length; at += EntryBytes)
        {
            switch (TagAt(acl, at))
            {
                case Tag.Owner: Narrow(acl, at, 6, ref permitted); break;
                case Tag.Others: Narrow(acl, at, 0, ref permitted); break;
                case Tag.OwningGroup: groupAt = at; break;
                case Tag.Mask: maskAt = at; extended = true; break;
                default: extended = true; break;
            }
        }

        Narrow(acl, maskAt < 0 ? groupAt : maskAt, 3, ref permitted);
        mode = (ushort)permitted;
        return extended;
    }

    private static Tag TagAt(ReadOnlySpan<byte> acl, int at) => (Tag)BinaryPrimitives.ReadUInt16LittleEndian(acl[at..]);

    private static ushort PermissionsAt(ReadOnlySpan<byte> acl, int at) =>
        BinaryPrimitives.ReadUInt16LittleEndian(acl[(at + 2)..]);

    private static void SetPermissions(Span<byte> acl, int at, int permissions) =>
        BinaryPrimitives.WriteUInt16LittleEndian(acl[(at + 2)..], (ushort)(permissions & PermissionBits));

    /// <summary>Cuts an entry and the three bits of the mode that it answers for down to what both allow.</summary>
    private static void Narrow(Span<byte> acl, int at, int shift, ref int mode)
    {
        int both = PermissionsAt(acl, at) & (mode >> shift) & PermissionBits;
        SetPermissions(acl, at, both);
        mode = (mode & ~(PermissionBits << shift)) | (both << shift);
    }
}
