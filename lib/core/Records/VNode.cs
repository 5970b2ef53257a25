using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>What a VNode is. Bytes on disk: never renumber.</summary>
public enum VNodeKind : byte
{
    File = 1,
    Directory = 2,
    Symlink = 3,
    CharacterDevice = 4,
    BlockDevice = 5,
    Fifo = 6,
    Socket = 7,
}

/// <summary>The record of a VNode, without its data.</summary>
/// <remarks>Layout of the payload, 88 bytes, little-endian: 0: kind; 1: 0; 2-3: mode (07777 bits); 4-7: uid; 8-11: gid;
/// 12-15: nlink; 16-19: rdev; 20-23: flags; 24-31: size (bytes; of a directory: entries); 32-39: allocated bytes; 40-47:
/// atime; 48-55: mtime; 56-63: ctime; 64-71: birth time (ns since 1970); 72-79: parent; 80-87: data version. Source: docs/format.md#vnode.</remarks>
public record struct VNode
{
    public const int PayloadBytes = 88;

    public VNodeKind Kind { get; set; }

    /// <summary>The permission, set-id and sticky bits: 07777.</summary>
    public ushort Mode { get; set; }

    public uint Uid { get; set; }

    public uint Gid { get; set; }

    /// <summary>Names of a file; of a directory, 2 plus its subdirectories. 0: an orphan.</summary>
    public uint Nlink { get; set; }

    /// <summary>Device number of device nodes, in the kernel's new 32-bit encoding.</summary>
    public uint Rdev { get; set; }

    public VNodeFlags Flags { get; set; }

    /// <summary>Bytes of a file or symlink target; entries of a directory.</summary>
    public ulong Size { get; set; }

    /// <summary>Bytes of a file's logical space that are backed (written or preallocated): what its quota is charged.</summary>
    public ulong AllocatedBytes { get; set; }

    public Timestamp AccessTime { get; set; }

    public Timestamp ModifyTime { get; set; }

    public Timestamp ChangeTime { get; set; }

    public Timestamp BirthTime { get; set; }

    /// <summary>The directory that has it (of a hard-linked file: one of them; the root's is itself).</summary>
    public VNodeId Parent { get; set; }

    /// <summary>The CoW number of the last transaction that changed the content: what caches compare.</summary>
    public CowNumber DataVersion { get; set; }

    public readonly bool IsDirectory => Kind == VNodeKind.Directory;

    public readonly void Encode(Span<byte> payload)
    {
        payload[..PayloadBytes].Clear();
        payload[0] = (byte)Kind;
        BinaryPrimitives.WriteUInt16LittleEndian(payload[2..], Mode);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[4..], Uid);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[8..], Gid);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[12..], Nlink);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[16..], Rdev);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[20..], (uint)Flags);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[24..], Size);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[32..], AllocatedBytes);
        BinaryPrimitives.WriteInt64LittleEndian(payload[40..], AccessTime.Nanoseconds);
        BinaryPrimitives.WriteInt64LittleEndian(payload[48..], ModifyTime.Nanoseconds);
        BinaryPrimitives.WriteInt64LittleEndian(payload[56..], ChangeTime.Nanoseconds);
        BinaryPrimitives.WriteInt64LittleEndian(payload[64..], BirthTime.Nanoseconds);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[72..], Parent.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(payload[80..], DataVersion.Value);
    }

    /// <summary>False if the payload is none of a VNode.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> payload, out VNode vnode)
    {
        vnode = default;
        if (payload.Length != PayloadBytes || payload[0] is < (byte)VNodeKind.File or > (byte)VNodeKind.Socket)
        {
            return false;
        }

        vnode = new()
        {
            Kind = (VNodeKind)payload[0],
            Mode = BinaryPrimitives.ReadUInt16LittleEndian(payload[2..]),
            Uid = BinaryPrimitives.ReadUInt32LittleEndian(payload[4..]),
            Gid = BinaryPrimitives.ReadUInt32LittleEndian(payload[8..]),
            Nlink = BinaryPrimitives.ReadUInt32LittleEndian(payload[12..]),
            Rdev = BinaryPrimitives.ReadUInt32LittleEndian(payload[16..]),
            Flags = (VNodeFlags)BinaryPrimitives.ReadUInt32LittleEndian(payload[20..]),
            Size = BinaryPrimitives.ReadUInt64LittleEndian(payload[24..]),
            AllocatedBytes = BinaryPrimitives.ReadUInt64LittleEndian(payload[32..]),
            AccessTime = new(BinaryPrimitives.ReadInt64LittleEndian(payload[40..])),
            ModifyTime = new(BinaryPrimitives.ReadInt64LittleEndian(payload[48..])),
            ChangeTime = new(BinaryPrimitives.ReadInt64LittleEndian(payload[56..])),
            BirthTime = new(BinaryPrimitives.ReadInt64LittleEndian(payload[64..])),
            Parent = new(BinaryPrimitives.ReadUInt64LittleEndian(payload[72..])),
            DataVersion = new(BinaryPrimitives.ReadUInt64LittleEndian(payload[80..])),
        };
        return true;
    }
}

/// <summary>Facts about a VNode that speed its handling. Bits on disk: never renumber.</summary>
[Flags]
public enum VNodeFlags : uint
{
    None = 0,

    /// <summary>It has, or had, extended attributes: without it, none need be looked for.</summary>
    HasXattrs = 1,

    /// <summary>It has, or had, link records: one for each name but one, which is in <see cref="VNode.Parent"/>.</summary>
    HasLinks = 2,

    /// <summary>It has an access ACL: chmod must change its mask, too.</summary>
    HasAccessAcl = 4,

    /// <summary>A directory with a default ACL for what is created in it.</summary>
    HasDefaultAcl = 8,

    /// <summary>Made without a name (O_TMPFILE without O_EXCL), and may get one.</summary>
    Linkable = 16,

    /// <summary>It has a <see cref="RecordKind.Cut"/> record: clusters from there on show nothing.</summary>
    HasCut = 32,
}
