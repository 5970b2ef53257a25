using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace KvFs.Core;

/// <summary>A drive's records as they are, or were, at one version.</summary>
/// <remarks>Not thread safe: typed reads share a scratch buffer. A record whose bytes are damaged raises
/// <see cref="RecordCorruptException"/>.</remarks>
public abstract class DriveView
{
    private readonly ByteBuffer scratch = new(512);

    public abstract DriveId Drive { get; }

    /// <summary>The version read; <see cref="CowNumber.Head"/> for the present one.</summary>
    public abstract CowNumber At { get; }

    /// <summary>Copies a record's payload; false if it does not exist at this version.</summary>
    public abstract bool TryGet(ref RecordKey key, ByteBuffer payload, out RecordHeader header);

    /// <summary>Walks the records of [<paramref name="from"/>, <paramref name="to"/>), both of one kind, upwards.</summary>
    public abstract DriveCursor Walk(RecordKey from, RecordKey to);

    public bool TryGet(ref RecordKey key, ByteBuffer payload) => TryGet(ref key, payload, out _);

    /// <summary>Walks all records whose relative key starts with the given one's.</summary>
    public DriveCursor WalkPrefix(RecordKey prefix)
    {
        RecordKey end = prefix;
        end.ToPrefixEnd();
        return Walk(prefix, end);
    }

    public bool TryGetVNode(VNodeId id, out VNode vnode) => TryGetVNode(id, out vnode, out _);

    /// <summary>Reads a VNode and the CoW number that wrote it: its version.</summary>
    public bool TryGetVNode(VNodeId id, out VNode vnode, out CowNumber version)
    {
        RecordKey key = RecordKey.VNode(id);
        bool found = TryGet(ref key, scratch, out RecordHeader header);
        vnode = default;
        version = header.Written;
        if (!found) { return false; }
        if (!VNode.TryDecode(scratch.Span, out vnode)) { ThrowCorrupt(ref key); }
        return true;
    }

    public bool TryGetDentry(VNodeId parent, ReadOnlySpan<byte> name, out Dentry dentry)
    {
        RecordKey key = RecordKey.Dentry(parent, name);
        dentry = default;
        if (!TryGet(ref key, scratch)) { return false; }
        if (!Dentry.TryDecode(scratch.Span, out dentry)) { ThrowCorrupt(ref key); }
        return true;
    }

    /// <summary>Raises the exception for a payload that its envelope vouches for, but that no version of ours wrote.</summary>
    [DoesNotReturn]
    public void ThrowCorrupt(ref RecordKey key) => throw new RecordCorruptException(Status.Corrupt, key.In(Drive));
}

/// <summary>A walk over records of a <see cref="DriveView"/>. Starts before the first one.</summary>
public abstract class DriveCursor : IDisposable
{
    /// <summary>The relative key. Valid until the next move.</summary>
    public abstract ReadOnlySpan<byte> Key { get; }

    /// <summary>The payload. Valid until the next move.</summary>
    public abstract ReadOnlySpan<byte> Payload { get; }

    public abstract RecordHeader Header { get; }

    /// <summary>The record says that there is none, whatever lies below it.</summary>
    public virtual bool Hides => Header.Whiteout;

    public abstract bool MoveNext();

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);
}

/// <summary>Reads a drive at a version, through the drives that it was cloned from.</summary>
/// <remarks>Plain records belong to one drive and have one value: they neither fall through nor have versions.</remarks>
public sealed class StoredDriveView(IRecordReader reader, ImmutableArray<DriveLayer> layers) : DriveView
{
    private readonly ByteBuffer raw = new(512);

    public StoredDriveView(IRecordReader reader, DriveState state, CowNumber at)
        : this(reader, state.LayersAt(at))
    {
    }

    /// <summary>What is read, in order.</summary>
    public ImmutableArray<DriveLayer> Layers => layers;

    public override DriveId Drive => layers[0].Drive;

    public override CowNumber At => layers[0].At;

    public override bool TryGet(ref RecordKey key, ByteBuffer payload, out RecordHeader header)
    {
        if (!RecordKey.IsVersioned(key.Relative)) { return TryGetPlain(ref key, payload, out header); }
        foreach (DriveLayer layer in layers)
        {
            if (!LayerReader.TryGet(reader, layer, ref key, raw, out header, out ReadOnlySpan<byte> found)) { continue; }
            if (header.Whiteout) { break; }
            payload.Set(found);
            return true;
        }

        payload.Clear();
        header = default;
        return false;
    }

    public override DriveCursor Walk(RecordKey from, RecordKey to)
    {
        if (!RecordKey.IsVersioned(from.Relative)) { return new LayerCursor(reader, Drive, from, to, Whiteouts.Show); }
        if (layers.Length == 1 && layers[0].At == CowNumber.Head)
        {
            return new LayerCursor(reader, Drive, from, to, Whiteouts.Skip);
        }

        DriveCursor[] sources = new DriveCursor[layers.Length];
        for (int i = 0; i < sources.Length; i++)
        {
            sources[i] = layers[i].At == CowNumber.Head
                ? new LayerCursor(reader, layers[i].Drive, from, to, Whiteouts.Hide)
                : new VersionCursor(reader, layers[i], from, to);
        }

        return new MergedCursor(sources);
    }

    private bool TryGetPlain(ref RecordKey key, ByteBuffer payload, out RecordHeader header)
    {
        payload.Clear();
        header = default;
        if (!reader.TryGet(key.In(Drive), raw)) { return false; }
        LayerReader.Open(key.In(Drive), raw.Span, out header, out ReadOnlySpan<byte> found);
        payload.Set(found);
        return true;
    }
}
