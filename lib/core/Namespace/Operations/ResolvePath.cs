namespace KvFs.Core;

/// <summary>Finds a VNode by its path from the root.</summary>
/// <remarks>Symlinks are not followed: that is the kernel's business, which knows other file systems, too. Empty components
/// are skipped, so "/" is the root and "/a//b/" is "/a/b".</remarks>
public static class ResolvePath
{
    /// <returns>Ok; NotFound; NotDirectory: a component before the last is none; NameTooLong.</returns>
    public static Status Apply(DriveView view, ReadOnlySpan<byte> path, out NodeInfo result)
    {
        ArgumentNullException.ThrowIfNull(view);
        Status status = GetNode.Apply(view, VNodeId.Root, out result);
        while (status == Status.Ok && !path.IsEmpty)
        {
            int slash = path.IndexOf((byte)'/');
            ReadOnlySpan<byte> name = slash < 0 ? path : path[..slash];
            path = slash < 0 ? default : path[(slash + 1)..];
            if (!name.IsEmpty) { status = Lookup.Apply(view, result.Id, name, out result); }
        }

        return status;
    }
}
