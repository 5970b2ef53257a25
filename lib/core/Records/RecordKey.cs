using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace KvFs.Core;

/// <summary>The first byte of a key behind the RUID: what kind of record it names. See docs/format.md#namespace.</summary>
/// <remarks>Upper case: versioned (snapshots and clones see old values). Lower case: plain (only the present value
/// exists). Bytes on disk: never renumber.</remarks>
public enum RecordKind : byte
{
    VNode = (byte)'V',
    Dentry = (byte)'D',
    Link = (byte)'L',
    Slice = (byte)'S',
    Xattr = (byte)'X',
    Symlink = (byte)'Y',

    /// <summary>A VNode without a name that a session holds: versioned, so that a clone knows which VNodes that it
    /// inherited have no name, and removes them.</summary>
    Orphan = (byte)'O',

    /// <summary>A file's clusters from some number on are cut off, but their records are not yet removed.</summary>
    Cut = (byte)'C',

    /// <summary>A superseded value of one of the above that some snapshot or pin still sees.</summary>
    History = (byte)'H',

    Drive = (byte)'d',
    Usage = (byte)'u',
    Reservation = (byte)'r',
    Snapshot = (byte)'p',
    Pin = (byte)'n',
    Lock = (byte)'k',
    Session = (byte)'s',
    Grant = (byte)'g',
    BlockLive = (byte)'b',
    BlockDead = (byte)'z',
    RequestResult = (byte)'q',
    Reaper = (byte)'f',

    /// <summary>VNode ids that a session may create VNodes under.</summary>
    VNodeGrant = (byte)'i',

    /// <summary>A session alone may buffer writes to a file.</summary>
    Delegation = (byte)'j',

    /// <summary>The one restore that is going on.</summary>
    Restore = (byte)'e',

    /// <summary>A VNode that a restore has still to fill.</summary>
    RestoreWork = (byte)'w',

    /// <summary>Which new VNode stands for one with several names, in a restore.</summary>
    RestoreLink = (byte)'h',
}

/// <summary>The key of a record in the <c>ns</c> family.</summary>
/// <remarks>Layout: 0-15: RUID; 16: <see cref="RecordKind"/>; 17: key version 1; 18 on: body, all big-endian, so that byte
/// order is numeric order and one range holds a drive, one a VNode's slices, one a directory. "Relative" is the key
/// without its RUID: a clone looks the same relative key up in its origin. Source: docs/format.md#namespace.</remarks>
[SuppressMessage("Performance", "CA1815", Justification = "Keys are built, used and forgotten; never compared as values.")]
public struct RecordKey
{
    /// <summary>Bytes of the longest key: a history record of a hard link with a name of 255 bytes.</summary>
    public const int MaxBytes = DriveId.Size + 2 + 2 + 8 + 8 + 8 + Limits.NameBytes + HistorySuffixBytes;

    /// <summary>Bytes of what a history key has behind the original body: a zero, and the superseding CoW number.</summary>
    public const int HistorySuffixBytes = 9;

    public const byte KeyVersion = 1;

    private const int SliceBytes = 2 + 8 + 4 + 8 + 4;

    private Storage bytes;
    private int length;

    private RecordKey(RecordKind kind)
    {
        Unsafe.SkipInit(out bytes);
        bytes[DriveId.Size] = (byte)kind;
        bytes[DriveId.Size + 1] = KeyVersion;
        length = DriveId.Size + 2;
    }

    /// <summary>The key within its drive: kind, version, body.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<byte> Relative => ((ReadOnlySpan<byte>)bytes)[DriveId.Size..length];

    /// <summary>The whole key, in the given drive. Overwrites what an earlier call wrote as RUID.</summary>
    [UnscopedRef]
    public ReadOnlySpan<byte> In(DriveId drive)
    {
        drive.Write(bytes);
        return ((ReadOnlySpan<byte>)bytes)[..length];
    }

    /// <summary>Whether snapshots and clones see old values of a record: else only its drive's present one exists.</summary>
    public static bool IsVersioned(ReadOnlySpan<byte> relative) =>
        relative[0] is >= (byte)'A' and <= (byte)'Z' && relative[0] != (byte)RecordKind.History;

    /// <summary>A key with a copy of a relative key.</summary>
    public static RecordKey FromRelative(ReadOnlySpan<byte> relative)
    {
        Unsafe.SkipInit(out RecordKey key);
        key.length = DriveId.Size;
        key.Append(relative);
        return key;
    }

    /// <summary>Body: none. For the kinds of which a drive has one: Drive, Usage, Reservation, Reaper.</summary>
    public static RecordKey Single(RecordKind kind) => new(kind);

    /// <summary>Body: 18-25: VNode id.</summary>
    public static RecordKey VNode(VNodeId id) => new RecordKey(RecordKind.VNode).With(id.Value);

    /// <summary>Body: 18-25: VNode id.</summary>
    public static RecordKey Symlink(VNodeId id) => new RecordKey(RecordKind.Symlink).With(id.Value);

    /// <summary>Body: 18-25: parent's id; 26-33: <see cref="NameHash"/>; 34 on: the name.</summary>
    /// <remarks>Ordered by hash, so that a readdir cookie is a place in the directory that stays where it is while names
    /// come and go.</remarks>
    public static RecordKey Dentry(VNodeId parent, ReadOnlySpan<byte> name)
    {
        RecordKey key = new RecordKey(RecordKind.Dentry).With(parent.Value).With(NameHash.Compute(name));
        key.Append(name);
        return key;
    }

    /// <summary>The prefix of a directory's entries.</summary>
    public static RecordKey DentriesOf(VNodeId parent) => new RecordKey(RecordKind.Dentry).With(parent.Value);

    /// <summary>The first key a directory's entries may have from a hash on.</summary>
    public static RecordKey DentryFrom(VNodeId parent, ulong hash) =>
        new RecordKey(RecordKind.Dentry).With(parent.Value).With(hash);

    /// <summary>Body: 18-25: VNode id; 26-33: parent's id; 34 on: the name.</summary>
    public static RecordKey Link(VNodeId id, VNodeId parent, ReadOnlySpan<byte> name)
    {
        RecordKey key = new RecordKey(RecordKind.Link).With(id.Value).With(parent.Value);
        key.Append(name);
        return key;
    }

    /// <summary>The prefix of a VNode's link records.</summary>
    public static RecordKey LinksOf(VNodeId id) => new RecordKey(RecordKind.Link).With(id.Value);

    /// <summary>Takes a link's relative key apart; false if it is no such key.</summary>
    public static bool TrySplitLink(ReadOnlySpan<byte> relative, out VNodeId parent, out ReadOnlySpan<byte> name)
    {
        parent = default;
        name = default;
        if (relative.Length <= 2 + 8 + 8 || relative[0] != (byte)RecordKind.Link) { return false; }
        parent = new(BinaryPrimitives.ReadUInt64BigEndian(relative[10..]));
        name = relative[18..];
        return true;
    }

    /// <summary>Takes a dentry's relative key apart; false if it is no such key.</summary>
    public static bool TrySplitDentry(
        ReadOnlySpan<byte> relative, out VNodeId parent, out ulong hash, out ReadOnlySpan<byte> name)
    {
        parent = default;
        hash = 0;
        name = default;
        if (relative.Length <= 2 + 8 + 8 || relative[0] != (byte)RecordKind.Dentry) { return false; }
        parent = new(BinaryPrimitives.ReadUInt64BigEndian(relative[2..]));
        hash = BinaryPrimitives.ReadUInt64BigEndian(relative[10..]);
        name = relative[18..];
        return true;
    }

    /// <summary>Body: 18-25: VNode id; 26-29: cluster; 30-37: CoW number; 38-41: sequence. A base has 0 for both.</summary>
    /// <remarks>Byte order is the order in which slices hide one another.</remarks>
    public static RecordKey Slice(VNodeId id, uint cluster, CowNumber cow, uint sequence) =>
        new RecordKey(RecordKind.Slice).With(id.Value).With(cluster).With(cow.Value).With(sequence);

    /// <summary>The first key that slices of a VNode may have from a cluster on.</summary>
    public static RecordKey SlicesFrom(VNodeId id, uint cluster) =>
        new RecordKey(RecordKind.Slice).With(id.Value).With(cluster);

    /// <summary>Body: 18-25: VNode id; 26 on: the attribute's name.</summary>
    public static RecordKey Xattr(VNodeId id, ReadOnlySpan<byte> name)
    {
        RecordKey key = new RecordKey(RecordKind.Xattr).With(id.Value);
        key.Append(name);
        return key;
    }

    /// <summary>The prefix of a VNode's attributes.</summary>
    public static RecordKey XattrsOf(VNodeId id) => new RecordKey(RecordKind.Xattr).With(id.Value);

    /// <summary>The name in an attribute's relative key; false if it is no such key.</summary>
    public static bool TrySplitXattr(ReadOnlySpan<byte> relative, out VNodeId id, out ReadOnlySpan<byte> name)
    {
        id = default;
        name = default;
        if (relative.Length <= 2 + 8 || relative[0] != (byte)RecordKind.Xattr) { return false; }
        id = new(BinaryPrimitives.ReadUInt64BigEndian(relative[2..]));
        name = relative[10..];
        return true;
    }

    /// <summary>Body: 18 on: the snapshot's name.</summary>
    public static RecordKey Snapshot(ReadOnlySpan<byte> name)
    {
        RecordKey key = new(RecordKind.Snapshot);
        key.Append(name);
        return key;
    }

    /// <summary>The name in a snapshot's relative key.</summary>
    public static ReadOnlySpan<byte> SnapshotName(ReadOnlySpan<byte> relative) => relative[2..];

    /// <summary>Body: 18-33: the clone's RUID.</summary>
    public static RecordKey Pin(DriveId clone)
    {
        RecordKey key = new(RecordKind.Pin);
        Span<byte> id = stackalloc byte[DriveId.Size];
        clone.Write(id);
        key.Append(id);
        return key;
    }

    /// <summary>Body: 18-25: one number: a VNode (Orphan, Cut), a session, a block (BlockLive, BlockDead).</summary>
    public static RecordKey Numbered(RecordKind kind, ulong number) => new RecordKey(kind).With(number);

    /// <summary>Body: 18-25 and 26-33: two numbers: Orphan (VNode, session), RestoreWork (source, target), Grant (session,
    /// last id), VNodeGrant (session, group of ids), Delegation (session, VNode).</summary>
    /// <remarks>A grant is named by its last id, so that the first key from (session, id) on is the one that may hold the
    /// id.</remarks>
    public static RecordKey Numbered(RecordKind kind, ulong first, ulong second) =>
        new RecordKey(kind).With(first).With(second);

    /// <summary>Body: 18-25: session; 26-27: slot.</summary>
    public static RecordKey RequestResult(SessionId session, ushort slot)
    {
        RecordKey key = new RecordKey(RecordKind.RequestResult).With(session.Value);
        BinaryPrimitives.WriteUInt16BigEndian(key.Extend(2), slot);
        return key;
    }

    /// <summary>Body: 18-25: VNode id; 26-33: session; 34-41: lock owner; 42-49: first byte; 50: 0 range, 1 flock.</summary>
    public static RecordKey Lock(VNodeId id, SessionId session, ulong owner, ulong start, byte space)
    {
        RecordKey key = new RecordKey(RecordKind.Lock).With(id.Value).With(session.Value).With(owner).With(start);
        key.Extend(1)[0] = space;
        return key;
    }

    /// <summary>Body: 18 on: the original relative key, a zero byte, 8 bytes: the CoW number that superseded it.</summary>
    public static RecordKey History(ReadOnlySpan<byte> original, CowNumber superseded)
    {
        RecordKey key = new(RecordKind.History);
        key.Append(original);
        key.Extend(1)[0] = 0;
        return key.With(superseded.Value);
    }

    /// <summary>A history key up to the original relative key's start: for ranges over history.</summary>
    public static RecordKey HistoryFrom(ReadOnlySpan<byte> original)
    {
        RecordKey key = new(RecordKind.History);
        key.Append(original);
        return key;
    }

    /// <summary>Reads the relative key of a slice; false if it is no such key.</summary>
    public static bool TrySplitSlice(ReadOnlySpan<byte> relative, out SliceKey key)
    {
        key = default;
        if (relative.Length != SliceBytes || relative[0] != (byte)RecordKind.Slice || relative[1] != KeyVersion)
        {
            return false;
        }

        key = new(
            new(BinaryPrimitives.ReadUInt64BigEndian(relative[2..])),
            BinaryPrimitives.ReadUInt32BigEndian(relative[10..]),
            new(BinaryPrimitives.ReadUInt64BigEndian(relative[14..])),
            BinaryPrimitives.ReadUInt32BigEndian(relative[22..]));
        return true;
    }

    /// <summary>Reads the numbers of a relative key made by <see cref="Numbered(RecordKind, ulong, ulong)"/>, or by the
    /// one-number form (then <paramref name="second"/> is 0); false if it is neither.</summary>
    public static bool TrySplitNumbers(ReadOnlySpan<byte> relative, out ulong first, out ulong second)
    {
        first = 0;
        second = 0;
        if (relative.Length is not (10 or 18) || relative[1] != KeyVersion) { return false; }
        first = BinaryPrimitives.ReadUInt64BigEndian(relative[2..]);
        second = relative.Length == 18 ? BinaryPrimitives.ReadUInt64BigEndian(relative[10..]) : 0;
        return true;
    }

    /// <summary>Reads the number that a relative key's body starts with; false if it has none.</summary>
    public static bool TryReadFirstNumber(ReadOnlySpan<byte> relative, out ulong number)
    {
        bool found = relative.Length >= 10 && relative[1] == KeyVersion;
        number = found ? BinaryPrimitives.ReadUInt64BigEndian(relative[2..]) : 0;
        return found;
    }

    /// <summary>Splits the relative key of a history record; false if it is no such key.</summary>
    public static bool TrySplitHistory(
        ReadOnlySpan<byte> relative, out ReadOnlySpan<byte> original, out CowNumber superseded)
    {
        original = default;
        superseded = default;
        if (relative.Length < 2 + 2 + HistorySuffixBytes || relative[0] != (byte)RecordKind.History
            || relative[^HistorySuffixBytes] != 0)
        {
            return false;
        }

        original = relative[2..^HistorySuffixBytes];
        superseded = new(BinaryPrimitives.ReadUInt64BigEndian(relative[^8..]));
        return true;
    }

    /// <summary>Turns the key into the least one that is greater than every key with this one as its prefix.</summary>
    /// <exception cref="InvariantException">The relative key is all 0xFF, which no kind is.</exception>
    public void ToPrefixEnd()
    {
        Span<byte> relative = ((Span<byte>)bytes)[DriveId.Size..length];
        int last = relative.LastIndexOfAnyExcept((byte)0xFF);
        Invariant.Check(last >= 0);
        relative[last]++;
        length = DriveId.Size + last + 1;
    }

    public void Append(ReadOnlySpan<byte> part) => part.CopyTo(Extend(part.Length));

    private RecordKey With(ulong number)
    {
        BinaryPrimitives.WriteUInt64BigEndian(Extend(8), number);
        return this;
    }

    private RecordKey With(uint number)
    {
        BinaryPrimitives.WriteUInt32BigEndian(Extend(4), number);
        return this;
    }

    [UnscopedRef]
    private Span<byte> Extend(int count)
    {
        Invariant.Check(length + count <= MaxBytes);
        Span<byte> room = ((Span<byte>)bytes).Slice(length, count);
        length += count;
        return room;
    }

    [InlineArray(MaxBytes)]
    private struct Storage
    {
        private byte first;
    }
}

/// <summary>What the key of a slice record says.</summary>
public readonly record struct SliceKey(VNodeId Node, uint Cluster, CowNumber Cow, uint Sequence)
{
    /// <summary>The place of a folded cluster's base: below all deltas.</summary>
    public bool IsBase => Cow == default && Sequence == 0;
}
