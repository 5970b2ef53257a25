namespace KvFs.Core.Tests.Model;

/// <summary>A VNode as a plain object: what a naive file system in memory would have.</summary>
internal sealed class ModelNode
{
    public required VNodeId Id { get; init; }

    public required VNodeKind Kind { get; init; }

    public ushort Mode { get; set; }

    public uint Uid { get; set; }

    public uint Gid { get; set; }

    public uint Rdev { get; init; }

    public string Target { get; init; } = "";

    public byte[] Content { get; set; } = [];

    public Timestamp AccessTime { get; set; }

    public Timestamp ModifyTime { get; set; }

    public Timestamp ChangeTime { get; set; }

    public Timestamp BirthTime { get; init; }

    /// <summary>Of a directory: its entries.</summary>
    public SortedDictionary<string, ModelNode> Children { get; } = new(StringComparer.Ordinal);

    /// <summary>Of a directory: where it is.</summary>
    public ModelNode? Parent { get; set; }

    public SortedDictionary<string, byte[]> Xattrs { get; } = new(StringComparer.Ordinal);

    /// <summary>Names that lead here; of a directory 1 or, once removed, 0.</summary>
    public int Names { get; set; }

    public bool Linkable { get; set; }

    /// <summary>Sessions that hold it open.</summary>
    public SortedSet<ulong> Holders { get; } = [];

    public bool IsDirectory => Kind == VNodeKind.Directory;

    public uint Nlink => !IsDirectory ? (uint)Names
        : Names == 0 ? 0u
        : 2u + (uint)Children.Values.Count(child => child.IsDirectory);

    public ulong Size => IsDirectory ? (ulong)Children.Count
        : Kind == VNodeKind.Symlink ? (ulong)Target.Length
        : (ulong)Content.Length;

    public void Touch(Timestamp now)
    {
        ModifyTime = now;
        ChangeTime = now;
    }

    /// <summary>A copy with another set of objects for its children, which the caller fills in.</summary>
    public ModelNode CopyAlone()
    {
        ModelNode copy = CopyAs(Id);
        copy.Names = Names;
        copy.Linkable = Linkable;
        return copy;
    }

    /// <summary>Another VNode that is like this one, without names and children.</summary>
    public ModelNode CopyAs(VNodeId id)
    {
        ModelNode copy = new()
        {
            Id = id,
            Kind = Kind,
            Mode = Mode,
            Uid = Uid,
            Gid = Gid,
            Rdev = Rdev,
            Target = Target,
            Content = [.. Content],
            AccessTime = AccessTime,
            ModifyTime = ModifyTime,
            ChangeTime = ChangeTime,
            BirthTime = BirthTime,
        };
        foreach ((string name, byte[] value) in Xattrs) { copy.Xattrs.Add(name, value); }
        return copy;
    }
}
