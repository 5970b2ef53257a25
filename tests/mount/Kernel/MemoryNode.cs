namespace KvFs.Mount.Tests.Kernel;

/// <summary>A file or directory in memory. Guarded by the file system's gate.</summary>
internal sealed class MemoryNode(ulong id, uint mode)
{
    private long nextCookie = 3;

    public ulong Id => id;

    public uint Mode { get; set; } = mode;

    public uint Uid { get; set; }

    public uint Gid { get; set; }

    public uint Links { get; set; } = 1;

    public ulong Lookups { get; set; }

    public int Size { get; private set; }

    public byte[] Content { get; private set; } = [];

    public byte[] Target { get; init; } = [];

    public Dictionary<string, byte[]> Attributes { get; } = [];

    public Dictionary<string, long> CookieOf { get; } = [];

    /// <summary>Entries by their cookie, which an entry keeps as long as it lives.</summary>
    public SortedList<long, (string Name, MemoryNode Node)> Entries { get; } = [];

    public bool IsDirectory => (Mode & FileModeBits.KindMask) == FileModeBits.Directory;

    public MemoryNode? Find(string name) => CookieOf.TryGetValue(name, out long cookie) ? Entries[cookie].Node : null;

    public void Add(string name, MemoryNode node)
    {
        CookieOf.Add(name, nextCookie);
        Entries.Add(nextCookie++, (name, node));
    }

    public void Remove(string name)
    {
        CookieOf.Remove(name, out long cookie);
        Entries.Remove(cookie);
    }

    public void Resize(int size)
    {
        if (size > Content.Length)
        {
            byte[] larger = new byte[Math.Max(size, Content.Length * 2)];
            Content.AsSpan(0, Size).CopyTo(larger);
            Content = larger;
        }

        if (size < Size) { Content.AsSpan(size, Size - size).Clear(); }
        Size = size;
    }

    public void Write(int offset, ReadOnlySpan<byte> data)
    {
        if (offset + data.Length > Size) { Resize(offset + data.Length); }
        data.CopyTo(Content.AsSpan(offset));
    }

    public FuseAttr Attr() => new()
    {
        Ino = id,
        Size = (ulong)(IsDirectory ? 4096 : Size + Target.Length),
        Blocks = (ulong)(Size + 511) / 512,
        Mode = Mode,
        Nlink = Links,
        Uid = Uid,
        Gid = Gid,
        Blksize = 4096,
    };
}
