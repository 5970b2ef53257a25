using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Mount;

/// <summary>Fills the room of READDIR or READDIRPLUS with entries.</summary>
/// <remarks>Layout of an entry: fuse_entry_out (128 bytes, only READDIRPLUS), fuse_dirent (24), the name, zeros up to a
/// multiple of 8. The cookie of an entry is the offset that the kernel asks for next: the place *behind* this entry. It
/// must stay right while names come and go, and fit into 63 bits. Not thread safe.</remarks>
public ref struct DirectoryReply
{
    private const int Alignment = 8;
    private readonly Span<byte> room;
    private readonly bool plus;

    internal DirectoryReply(Span<byte> room, bool plus)
    {
        this.room = room;
        this.plus = plus;
    }

    /// <summary>Bytes used.</summary>
    public int Length { get; private set; }

    /// <summary>True if entries carry attributes and count as lookups (READDIRPLUS).</summary>
    public readonly bool IsPlus => plus;

    /// <summary>Adds an entry to READDIR; its type is <see cref="FileModeBits.EntryType"/> of its mode.</summary>
    /// <returns>False if it is full: nothing was added; answer now.</returns>
    public bool TryAdd(ReadOnlySpan<byte> name, ulong nodeId, uint type, ulong cookie)
    {
        Invariant.Check(!plus);
        int size = Align(Unsafe.SizeOf<FuseDirent>() + name.Length);
        if (!Reserve(name, cookie, size, out Span<byte> entry)) { return false; }
        WriteDirent(entry, name, nodeId, type, cookie);
        return true;
    }

    /// <summary>Adds an entry to READDIRPLUS. It counts as a lookup of its node, unless its node id is 0 ("." and "..",
    /// or attributes not at hand), and then <paramref name="nodeId"/> is still shown.</summary>
    /// <returns>False if it is full: nothing was added; answer now.</returns>
    public bool TryAddPlus(
        ReadOnlySpan<byte> name, in FuseEntryOut attributes, ulong nodeId, uint type, ulong cookie)
    {
        Invariant.Check(plus);
        int size = Align(Unsafe.SizeOf<FuseDirentplus>() + name.Length);
        if (!Reserve(name, cookie, size, out Span<byte> entry)) { return false; }
        MemoryMarshal.Write(entry, attributes);
        WriteDirent(entry[Unsafe.SizeOf<FuseEntryOut>()..], name, nodeId, type, cookie);
        return true;
    }

    private static int Align(int size) => (size + Alignment - 1) & ~(Alignment - 1);

    private bool Reserve(ReadOnlySpan<byte> name, ulong cookie, int size, out Span<byte> entry)
    {
        Invariant.Check(name.Length is > 0 and <= Limits.NameBytes);
        Invariant.Check(cookie <= long.MaxValue);
        entry = default;
        if (size > room.Length - Length) { return false; }
        entry = room.Slice(Length, size);
        Length += size;
        return true;
    }

    private static void WriteDirent(Span<byte> entry, ReadOnlySpan<byte> name, ulong nodeId, uint type, ulong cookie)
    {
        FuseDirent head = new() { Ino = nodeId, Off = cookie, Namelen = (uint)name.Length, Type = type };
        MemoryMarshal.Write(entry, head);
        Span<byte> rest = entry[Unsafe.SizeOf<FuseDirent>()..];
        name.CopyTo(rest);
        rest[name.Length..].Clear();
    }
}
