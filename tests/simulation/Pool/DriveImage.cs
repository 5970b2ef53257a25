using KvFs.Core;
using KvFs.Protocol;
using KvFs.Simulation.Nodes;

namespace KvFs.Simulation.Pool;

/// <summary>What a tree shows in the records of a drive, at one moment, with the blocks that they name.</summary>
internal sealed class DriveImage(DriveView view, IReadOnlyDictionary<BlockName, StoredBlock> blocks) : TreeImage
{
    private readonly PageSink sink = new();
    private readonly ClusterMap map = new();

    /// <summary>What a file shows, whether it has a name or not; null: it is not there.</summary>
    public string? Read(VNodeId file) => GetNode.Apply(view, file, out _) == Status.Ok ? Cells(file) : null;

    protected override NodeInfo Get(VNodeId id)
    {
        Require(GetNode.Apply(view, id, out NodeInfo info));
        return info;
    }

    protected override Status ReadDirectory(VNodeId directory, ulong cookie, DirectoryPage filled)
    {
        filled.Clear();
        sink.Page = filled;
        Status status = Core.ReadDirectory.Apply(view, directory, cookie, DirectoryPage.MaxEntries, withNodes: true, sink, out bool isLast);
        filled.IsLast = isLast;
        return status;
    }

    protected override Status ReadLink(VNodeId id, ByteBuffer target) => Core.ReadLink.Apply(view, id, target);

    protected override Status ListXattrs(VNodeId id, ByteBuffer names) => Core.ListXattrs.Apply(view, id, names);

    protected override Status GetXattr(VNodeId id, ReadOnlySpan<byte> name, ByteBuffer value) => Core.GetXattr.Apply(view, id, name, value);

    protected override ClusterMap GetCluster(VNodeId id, uint cluster)
    {
        Require(ReadCluster.Apply(id, cluster, view, map));
        return map;
    }

    protected override Status ReadBlock(BlockName block, uint offset, byte[] bytes)
    {
        if (!blocks.TryGetValue(block, out StoredBlock stored)) { throw new PoolFailedException($"block {block} is referred to, and is missing"); }
        if (stored.IsBad) { throw new BadBlockException(block); }
        ModelFile.Fill(bytes, stored.Content);
        return Status.Ok;
    }
}

/// <summary>A block does not fit its checksums: it is to be had elsewhere.</summary>
internal sealed class BadBlockException : Exception
{
    public BadBlockException()
    {
    }

    public BadBlockException(string message)
        : base(message)
    {
    }

    public BadBlockException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public BadBlockException(BlockName block)
        : base($"block {block} is bad")
    {
        Block = block;
    }

    public BlockName Block { get; }
}
