using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Client;

/// <summary>What a decision wanted to read and the client does not know.</summary>
/// <param name="Kind">The record's kind.</param>
/// <param name="Node">The VNode that it belongs to.</param>
/// <param name="Name">Of a dentry: the name; null: all names of the directory.</param>
internal sealed record MirrorMiss(RecordKind Kind, VNodeId Node, byte[]? Name);

/// <summary>The records of a drive that a client knows, because nobody else changes the drive, or it will be told before: VNodes, names,
/// targets of symlinks.</summary>
/// <remarks>
/// Not thread safe. The same operations of <c>lib/core</c> that a primary runs over its store run here over what is known. What
/// they read and is not known is noted as <see cref="Miss"/>: what the operation answers is then worth nothing.
/// A directory of which as many names are known as its VNode says it has is known as a whole.
/// </remarks>
internal sealed class DriveMirror : IRecordReader
{
    /// <summary>Records that a session knows at the most: some 60 MiB.</summary>
    public const int MaxRecords = 128 << 10;

    /// <summary>Entries up to which a directory is asked for as a whole.</summary>
    public const ulong LargeDirectory = MaxRecords / 8;

    private const int DriveBytes = DriveId.Size;
    private const int NodeAt = DriveBytes + 2;
    private const int RestAt = NodeAt + 8;

    private readonly Dictionary<ulong, byte[]?> nodes = [];
    private readonly Dictionary<ulong, MirrorDirectory> directories = [];
    private readonly Dictionary<ulong, byte[]> symlinks = [];
    private readonly ByteBuffer envelope = new(512);
    private int names;

    /// <summary>The first thing that was read and is not known, since <see cref="BeginReading"/>.</summary>
    public MirrorMiss? Miss { get; private set; }

    /// <summary>Grows whenever something that was known is not any more: what was asked before that must not be learned after it.
    /// (What is known is never replaced by what was asked for meanwhile.)</summary>
    public long Epoch { get; private set; }

    /// <summary>Records, those that are known not to exist included.</summary>
    public int Count => nodes.Count + names + symlinks.Count;

    /// <summary>What views of it need of a drive.</summary>
    public static DriveState StateOf(DriveId drive) => new(drive, new("", DriveKind.FileSystem, DriveFlags.None, 0, 0, default, []), []);

    public void BeginReading() => Miss = null;

    public bool TryGet(ReadOnlySpan<byte> key, ByteBuffer value)
    {
        value.Clear();
        byte[]? found = null;
        RecordKind kind = (RecordKind)key[DriveBytes];
        ulong node = key.Length >= RestAt ? BinaryPrimitives.ReadUInt64BigEndian(key[NodeAt..]) : 0;
        bool isKnown = kind switch
        {
            RecordKind.VNode => nodes.TryGetValue(node, out found),
            RecordKind.Dentry => directories.TryGetValue(node, out MirrorDirectory? directory)
                && directory.TryGet(key[RestAt..], out found),
            RecordKind.Symlink => symlinks.TryGetValue(node, out found),
            _ => false,
        };
        if (!isKnown)
        {
            Miss ??= new(kind, new(node), kind == RecordKind.Dentry ? key[(RestAt + 8)..].ToArray() : null);
        }

        if (found is null) { return false; }
        value.Set(found);
        return true;
    }

    public IRecordCursor OpenCursor(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        RecordKind kind = (RecordKind)from[DriveBytes];
        ulong node = BinaryPrimitives.ReadUInt64BigEndian(from[NodeAt..]);
        if (kind == RecordKind.Dentry && directories.TryGetValue(node, out MirrorDirectory? directory) && directory.IsComplete)
        {
            return new DirectoryCursor(directory, from[..RestAt], from[RestAt..]);
        }

        Miss ??= new(kind, new(node), Name: null);
        return new DirectoryCursor(new MirrorDirectory(), from[..Math.Min(RestAt, from.Length)], default);
    }

    /// <summary>What is known of a directory; null: nothing.</summary>
    public MirrorDirectory? Directory(VNodeId id) => directories.GetValueOrDefault(id.Value);

    /// <summary>Takes what an operation that ran here wrote. What only a primary keeps (orphans, usage) is passed over.</summary>
    public void Apply(RecordBatch batch)
    {
        ReadOnlySpan<byte> rest = batch.Bytes;
        while (RecordBatch.TryReadNext(
            ref rest, out RecordOperation operation, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value))
        {
            bool isPut = operation == RecordOperation.Put;
            ulong node = key.Length >= RestAt ? BinaryPrimitives.ReadUInt64BigEndian(key[NodeAt..]) : 0;
            switch ((RecordKind)key[DriveBytes])
            {
                case RecordKind.VNode:
                    SetNode(node, isPut ? value.ToArray() : null);
                    break;
                case RecordKind.Dentry:
                    SetName(node, key[RestAt..], isPut ? value.ToArray() : null);
                    break;
                case RecordKind.Symlink when isPut:
                    symlinks[node] = value.ToArray();
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>A VNode as the primary has it, instead of what was known.</summary>
    public void Replace(in NodeInfo info) => SetNode(info.Id.Value, Encode(info));

    /// <summary>A VNode as the primary had it, if nothing is known of it.</summary>
    public void Learn(in NodeInfo info)
    {
        if (!nodes.ContainsKey(info.Id.Value)) { SetNode(info.Id.Value, Encode(info)); }
    }

    /// <summary>There is no such VNode, if nothing is known of it.</summary>
    public void LearnGone(VNodeId id) => nodes.TryAdd(id.Value, null);

    /// <summary>A VNode is gone.</summary>
    public void SetGone(VNodeId id) => SetNode(id.Value, null);

    /// <summary>What a name leads to as the primary had it, if nothing is known of the name; null: nothing.</summary>
    public void LearnName(VNodeId parent, ReadOnlySpan<byte> name, Dentry? dentry, CowNumber version)
    {
        RecordKey key = RecordKey.Dentry(parent, name);
        ReadOnlySpan<byte> rest = key.Relative[10..];
        if (directories.TryGetValue(parent.Value, out MirrorDirectory? directory) && directory.Knows(rest)) { return; }
        SetName(parent.Value, rest, Encode(dentry, version));
    }

    /// <summary>What a name leads to, instead of what was known.</summary>
    public void ReplaceName(VNodeId parent, ReadOnlySpan<byte> name, Dentry? dentry, CowNumber version)
    {
        RecordKey key = RecordKey.Dentry(parent, name);
        SetName(parent.Value, key.Relative[10..], Encode(dentry, version));
    }

    /// <summary>The target of a symlink: it never changes.</summary>
    public void LearnSymlink(VNodeId id, ReadOnlySpan<byte> target)
    {
        RecordEnvelope.Write(default, whiteout: false, target, envelope);
        symlinks[id.Value] = envelope.Span.ToArray();
    }

    /// <summary>Nothing is known any more of a VNode; of its names is.</summary>
    public void Forget(VNodeId id)
    {
        Epoch++;
        nodes.Remove(id.Value);
        if (directories.TryGetValue(id.Value, out MirrorDirectory? directory)) { directory.Size = null; }
    }

    /// <summary>Nothing is known any more of a VNode, nor of its names.</summary>
    public void ForgetAll(VNodeId id)
    {
        Epoch++;
        nodes.Remove(id.Value);
        if (directories.Remove(id.Value, out MirrorDirectory? gone)) { names -= gone.Count; }
    }

    /// <summary>Nothing is known any more of a name.</summary>
    public void ForgetName(VNodeId parent, ReadOnlySpan<byte> name)
    {
        Epoch++;
        if (!directories.TryGetValue(parent.Value, out MirrorDirectory? directory)) { return; }
        RecordKey key = RecordKey.Dentry(parent, name);
        names -= directory.Count;
        directory.Forget(key.Relative[10..]);
        names += directory.Count;
    }

    /// <summary>What is on its way must not be learned: something may have changed meanwhile.</summary>
    public void Doubt() => Epoch++;

    /// <summary>Whether it is known what a VNode is, or that it is not.</summary>
    public bool Knows(VNodeId id) => nodes.ContainsKey(id.Value);

    /// <summary>Nothing is known any more.</summary>
    public void Clear()
    {
        Epoch++;
        nodes.Clear();
        directories.Clear();
        symlinks.Clear();
        names = 0;
    }

    private void SetNode(ulong node, byte[]? value)
    {
        nodes[node] = value;
        bool isDirectory = false;
        ulong size = 0;
        if (value is not null && VNode.TryDecode(value.AsSpan(10..^RecordEnvelope.TrailerBytes), out VNode vnode))
        {
            isDirectory = vnode.IsDirectory;
            size = vnode.Size;
        }

        if (isDirectory) { GetOrAdd(node).Size = size; }
        else if (directories.Remove(node, out MirrorDirectory? gone)) { names -= gone.Count; }
    }

    private void SetName(ulong parent, ReadOnlySpan<byte> key, byte[]? value)
    {
        MirrorDirectory directory = GetOrAdd(parent);
        names -= directory.Count;
        directory.Set(key, value);
        names += directory.Count;
    }

    private MirrorDirectory GetOrAdd(ulong node)
    {
        if (directories.TryGetValue(node, out MirrorDirectory? directory)) { return directory; }
        directory = new();
        directories.Add(node, directory);
        return directory;
    }

    private byte[] Encode(in NodeInfo info)
    {
        Span<byte> payload = stackalloc byte[VNode.PayloadBytes];
        info.VNode.Encode(payload);
        RecordEnvelope.Write(info.Version, whiteout: false, payload, envelope);
        return envelope.Span.ToArray();
    }

    private byte[]? Encode(Dentry? dentry, CowNumber version)
    {
        if (dentry is not { } known) { return null; }
        Span<byte> payload = stackalloc byte[Dentry.PayloadBytes];
        known.Encode(payload);
        RecordEnvelope.Write(version, whiteout: false, payload, envelope);
        return envelope.Span.ToArray();
    }

    /// <summary>Walks the names of a directory that is known as a whole.</summary>
    private sealed class DirectoryCursor : IRecordCursor
    {
        private readonly MirrorDirectory directory;
        private readonly byte[][] keys;
        private readonly ByteBuffer key = new(64);
        private readonly int prefixBytes;
        private byte[] value = [];
        private int at = -1;

        public DirectoryCursor(MirrorDirectory directory, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> from)
        {
            this.directory = directory;
            keys = [.. directory.From(from)];
            key.Set(prefix);
            prefixBytes = prefix.Length;
        }

        public ReadOnlySpan<byte> Key => key.Span;

        public ReadOnlySpan<byte> Value => value;

        public bool MoveNext()
        {
            if (++at >= keys.Length) { return false; }
            key.Truncate(prefixBytes);
            key.Append(keys[at]);
            Invariant.Check(directory.TryGet(keys[at], out byte[]? found) && found is not null);
            value = found;
            return true;
        }

        public void Dispose()
        {
        }
    }
}
