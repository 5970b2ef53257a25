namespace KvFs.Core;

/// <summary>What the operations on extended attributes share: which names there are, and the ACLs among them.</summary>
/// <remarks>Source: xattr(7).</remarks>
internal static class Xattrs
{
    public static ReadOnlySpan<byte> CapabilityName => "security.capability"u8;

    /// <summary>Whether a VNode may have an attribute of this name.</summary>
    /// <returns>Ok; Range: the name is longer than 255 bytes; Invalid: nothing, or a NUL, behind the prefix; NotPermitted:
    /// <c>user.</c> on what is neither file nor directory; NotSupported: a name of no known kind, or an ACL on a symlink.
    /// </returns>
    public static Status CheckName(ReadOnlySpan<byte> name, in VNode vnode)
    {
        if (name.Length > Limits.XattrNameBytes) { return Status.Range; }
        if (name.IsEmpty || name.Contains((byte)0)) { return Status.Invalid; }
        if (IsAcl(name)) { return vnode.Kind == VNodeKind.Symlink ? Status.NotSupported : Status.Ok; }
        int dot = name.IndexOf((byte)'.') + 1;
        ReadOnlySpan<byte> prefix = name[..dot];
        bool isUser = prefix.SequenceEqual("user."u8);
        if (!isUser && !prefix.SequenceEqual("trusted."u8) && !prefix.SequenceEqual("security."u8))
        {
            return Status.NotSupported;
        }

        if (dot == name.Length) { return Status.Invalid; }
        return isUser && vnode.Kind is not (VNodeKind.File or VNodeKind.Directory) ? Status.NotPermitted : Status.Ok;
    }

    public static bool IsAcl(ReadOnlySpan<byte> name) => IsAccessAcl(name) || IsDefaultAcl(name);

    public static bool IsAccessAcl(ReadOnlySpan<byte> name) => name.SequenceEqual(PosixAcl.AccessName);

    public static bool IsDefaultAcl(ReadOnlySpan<byte> name) => name.SequenceEqual(PosixAcl.DefaultName);

    /// <summary>Reads an ACL that the VNode's flags announce.</summary>
    /// <exception cref="RecordCorruptException">There is none, or it is not one.</exception>
    public static ByteBuffer RequireAcl(VNodeId id, ReadOnlySpan<byte> name, DriveView view)
    {
        ByteBuffer acl = new();
        RecordKey key = RecordKey.Xattr(id, name);
        if (!view.TryGet(ref key, acl) || PosixAcl.IsEmpty(acl.Span) || PosixAcl.Validate(acl.Span) != Status.Ok)
        {
            view.ThrowCorrupt(ref key);
        }

        return acl;
    }

    /// <summary>Deletes the file capabilities, as a write, a truncate and a chown must.</summary>
    public static void DropCapability(VNodeId id, in VNode vnode, DriveTransaction transaction)
    {
        if ((vnode.Flags & VNodeFlags.HasXattrs) == 0) { return; }
        RecordKey key = RecordKey.Xattr(id, CapabilityName);
        if (transaction.TryGet(ref key, new ByteBuffer())) { transaction.Delete(ref key); }
    }

    /// <summary>Whether a VNode's attributes stay within their bounds with one more, or with another value for one.</summary>
    public static bool Fits(VNodeId id, ReadOnlySpan<byte> newName, int valueBytes, DriveView view)
    {
        int listBytes = newName.Length + 1;
        int totalBytes = listBytes + valueBytes;
        using DriveCursor cursor = view.WalkPrefix(RecordKey.XattrsOf(id));
        while (cursor.MoveNext())
        {
            if (!RecordKey.TrySplitXattr(cursor.Key, out _, out ReadOnlySpan<byte> name))
            {
                throw new RecordCorruptException(Status.Corrupt, cursor.Key);
            }

            if (name.SequenceEqual(newName)) { continue; }
            listBytes += name.Length + 1;
            totalBytes += name.Length + 1 + cursor.Payload.Length;
        }

        return listBytes <= Limits.XattrListBytes && totalBytes <= Limits.XattrTotalBytes;
    }
}
