using Google.Protobuf;
using KvFs.Core;

namespace KvFs.Protocol.Wire;

/// <summary>VNodes, and what answers say of them.</summary>
public static class WireNodes
{
    public static V1.Node ToWire(this NodeInfo info)
    {
        VNode vnode = info.VNode;
        return new()
        {
            Id = info.Id.Value,
            Version = info.Version.Value,
            Kind = (V1.VNodeKind)vnode.Kind,
            Mode = vnode.Mode,
            Uid = vnode.Uid,
            Gid = vnode.Gid,
            Nlink = vnode.Nlink,
            Rdev = vnode.Rdev,
            Flags = (uint)vnode.Flags,
            Size = vnode.Size,
            AllocatedBytes = vnode.AllocatedBytes,
            AccessTime = vnode.AccessTime.Nanoseconds,
            ModifyTime = vnode.ModifyTime.Nanoseconds,
            ChangeTime = vnode.ChangeTime.Nanoseconds,
            BirthTime = vnode.BirthTime.Nanoseconds,
            Parent = vnode.Parent.Value,
            DataVersion = vnode.DataVersion.Value,
        };
    }

    public static NodeInfo ToCore(this V1.Node? node)
    {
        if (node is null) { return default; }
        VNode vnode = new()
        {
            Kind = (VNodeKind)WireValues.To8Bits((int)node.Kind),
            Mode = WireValues.To16Bits(node.Mode),
            Uid = node.Uid,
            Gid = node.Gid,
            Nlink = node.Nlink,
            Rdev = node.Rdev,
            Flags = (VNodeFlags)node.Flags,
            Size = node.Size,
            AllocatedBytes = node.AllocatedBytes,
            AccessTime = new(node.AccessTime),
            ModifyTime = new(node.ModifyTime),
            ChangeTime = new(node.ChangeTime),
            BirthTime = new(node.BirthTime),
            Parent = new(node.Parent),
            DataVersion = new(node.DataVersion),
        };
        return new(new(node.Id), vnode, new(node.Version));
    }

    public static V1.Removed ToWire(this UnlinkResult result) => new()
    {
        Node = result.Info.ToWire(),
        Removed_ = result.Removed,
        Orphaned = result.Orphaned,
        NeedsReaping = result.NeedsReaping,
    };

    public static UnlinkResult ToCore(this V1.Removed result)
    {
        ArgumentNullException.ThrowIfNull(result);
        return new(result.Node.ToCore(), result.Removed_, result.Orphaned) { NeedsReaping = result.NeedsReaping };
    }

    public static V1.DirectoryPage ToWire(this DirectoryPage page, bool withNodes)
    {
        ArgumentNullException.ThrowIfNull(page);
        V1.DirectoryPage sent = new() { IsLast = page.IsLast };
        for (int at = 0; at < page.Count; at++)
        {
            V1.DirectoryEntry entry = new()
            {
                Name = ByteString.CopyFrom(page.Name(at)),
                Cookie = page.Cookie(at),
                Child = page.Dentry(at).Child.Value,
                Kind = (V1.VNodeKind)page.Dentry(at).Kind,
            };
            if (withNodes && page.Info(at).Id != VNodeId.None) { entry.Node = page.Info(at).ToWire(); }
            sent.Entries.Add(entry);
        }

        return sent;
    }

    /// <summary>Replaces a page's content.</summary>
    public static void CopyTo(this V1.DirectoryPage sent, DirectoryPage page)
    {
        ArgumentNullException.ThrowIfNull(sent);
        ArgumentNullException.ThrowIfNull(page);
        page.Clear();
        foreach (V1.DirectoryEntry entry in sent.Entries)
        {
            Dentry dentry = new(new(entry.Child), (VNodeKind)WireValues.To8Bits((int)entry.Kind));
            page.Add(entry.Name.Span, entry.Cookie, dentry, entry.Node.ToCore());
        }

        page.IsLast = sent.IsLast;
    }

    public static V1.Usage ToWire(this DriveUsage usage) => new()
    {
        TotalBytes = usage.TotalBytes,
        UsedBytes = usage.UsedBytes,
        FreeBytes = usage.FreeBytes,
        TotalInodes = usage.TotalInodes,
        UsedInodes = usage.UsedInodes,
    };

    public static DriveUsage ToCore(this V1.Usage usage)
    {
        ArgumentNullException.ThrowIfNull(usage);
        return new(usage.TotalBytes, usage.UsedBytes, usage.FreeBytes, usage.TotalInodes, usage.UsedInodes);
    }

    public static V1.FileLock ToWire(this FileLock held) => new()
    {
        Start = held.Start,
        End = held.End,
        Type = (V1.LockType)held.Type,
        Owner = held.Owner.Owner,
        ProcessId = held.ProcessId,
        Session = held.Owner.Session.Value,
    };

    /// <summary>INVALID, and so an exception, if the type is none.</summary>
    public static FileLock ToCore(this V1.FileLock? held)
    {
        if (held is null) { throw new InvalidDataException("a request for a lock without the lock"); }
        if (!Enum.IsDefined(held.Type)) { throw new InvalidDataException($"{held.Type} is no type of lock"); }
        LockOwner owner = new(new(held.Session), held.Owner);
        return new(held.Start, held.End, (LockType)held.Type, owner, held.ProcessId);
    }

    public static LockSpace ToCore(this V1.LockSpace space) =>
        Enum.IsDefined(space) ? (LockSpace)space : throw new InvalidDataException($"{space} is no kind of lock");
}
