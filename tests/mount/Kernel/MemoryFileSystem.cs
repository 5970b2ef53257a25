using System.Text;

namespace KvFs.Mount.Tests.Kernel;

/// <summary>A small but real file system in memory: names. Its files are in the other part.</summary>
internal sealed partial class MemoryFileSystem : IFuseHandler
{
    private readonly Lock gate = new();
    private readonly Dictionary<ulong, MemoryNode> nodes = [];
    private ulong nextId = 2;

    public MemoryFileSystem() => nodes[1] = new MemoryNode(1, FileModeBits.Directory | 0x1FF) { Links = 2 };

    /// <summary>Looking up this name throws.</summary>
    public const string PoisonedName = "poisoned";

    public MemoryLocks Locks { get; } = new();

    /// <summary>Seconds that the kernel may keep names and attributes.</summary>
    public ulong ValidSeconds { get; init; }

    public FuseConnection? Connection { get; private set; }

    public FuseEnd? End { get; private set; }

    public int NodeCount
    {
        get
        {
            lock (gate) { return nodes.Count; }
        }
    }

    public void Mounted(FuseConnection connection) => Connection = connection;

    public void Unmounted(FuseEnd end) => End = end;

    public void Lookup(FuseRequest request, ReadOnlySpan<byte> name)
    {
        string text = Encoding.UTF8.GetString(name);
        if (text == PoisonedName) { throw new InvalidOperationException("a bug of the handler"); }
        FuseEntryOut entry;
        lock (gate)
        {
            MemoryNode? node = nodes.GetValueOrDefault(request.NodeId)?.Find(text);
            entry = node is null ? default : Entry(node);
        }

        if (entry.Nodeid == 0) { request.ReplyError(Errno.ENOENT); }
        else { request.ReplyEntry(entry); }
    }

    public void Forget(ulong nodeId, ulong lookups)
    {
        lock (gate)
        {
            if (!nodes.TryGetValue(nodeId, out MemoryNode? node)) { return; }
            node.Lookups -= lookups;
            DropIfDead(node);
        }
    }

    public void Mkdir(FuseRequest request, in FuseMkdirIn body, ReadOnlySpan<byte> name) =>
        ReplyCreated(request, name, FileModeBits.Directory | (body.Mode & ~body.Umask & FileModeBits.PermissionMask));

    public void Mknod(FuseRequest request, in FuseMknodIn body, ReadOnlySpan<byte> name) =>
        ReplyCreated(request, name, body.Mode & ~body.Umask);

    public void Symlink(FuseRequest request, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target) =>
        ReplyCreated(request, name, FileModeBits.Symlink | 0x1FF, target.ToArray());

    public void Link(FuseRequest request, ulong oldNodeId, ReadOnlySpan<byte> newName)
    {
        string text = Encoding.UTF8.GetString(newName);
        FuseEntryOut entry = default;
        lock (gate)
        {
            MemoryNode parent = nodes[request.NodeId];
            if (parent.Find(text) is null)
            {
                MemoryNode node = nodes[oldNodeId];
                parent.Add(text, node);
                node.Links++;
                entry = Entry(node);
            }
        }

        if (entry.Nodeid == 0) { request.ReplyError(Errno.EEXIST); }
        else { request.ReplyEntry(entry); }
    }

    public void Unlink(FuseRequest request, ReadOnlySpan<byte> name) =>
        Answer(request, Remove(request.NodeId, Encoding.UTF8.GetString(name), directory: false));

    public void Rmdir(FuseRequest request, ReadOnlySpan<byte> name) =>
        Answer(request, Remove(request.NodeId, Encoding.UTF8.GetString(name), directory: true));

    public void Rename(
        FuseRequest request,
        ulong newParent,
        RenameFlags flags,
        ReadOnlySpan<byte> oldName,
        ReadOnlySpan<byte> newName)
    {
        string from = Encoding.UTF8.GetString(oldName);
        string to = Encoding.UTF8.GetString(newName);
        Answer(request, Move(request.NodeId, from, newParent, to, flags));
    }

    public void Readlink(FuseRequest request)
    {
        byte[] target;
        lock (gate) { target = nodes[request.NodeId].Target; }
        request.ReplyBytes(target);
    }

    public void Opendir(FuseRequest request, in FuseOpenIn body) => request.ReplyOpen(new FuseOpenOut { Fh = 1 });

    public void Releasedir(FuseRequest request, in FuseReleaseIn body) => request.ReplyOk();

    public void Fsyncdir(FuseRequest request, in FuseFsyncIn body) => request.ReplyOk();

    public void Readdir(FuseRequest request, in FuseReadIn body) => List(request, (long)body.Offset);

    public void Readdirplus(FuseRequest request, in FuseReadIn body) => List(request, (long)body.Offset);

    private void List(FuseRequest request, long after)
    {
        DirectoryReply reply = request.BeginDirectory();
        lock (gate)
        {
            MemoryNode directory = nodes[request.NodeId];
            bool room = (after >= 1 || AddDot(ref reply, "."u8, directory.Id, 1))
                && (after >= 2 || AddDot(ref reply, ".."u8, directory.Id, 2));
            for (int i = 0; room && i < directory.Entries.Count; i++)
            {
                long cookie = directory.Entries.GetKeyAtIndex(i);
                if (cookie > after) { room = AddEntry(ref reply, directory.Entries.GetValueAtIndex(i), cookie); }
            }
        }

        request.ReplyDirectory(reply);
    }

    private static bool AddDot(ref DirectoryReply reply, ReadOnlySpan<byte> name, ulong id, ulong cookie)
    {
        uint type = FileModeBits.EntryType(FileModeBits.Directory);
        return reply.IsPlus
            ? reply.TryAddPlus(name, default, id, type, cookie)
            : reply.TryAdd(name, id, type, cookie);
    }

    private bool AddEntry(ref DirectoryReply reply, (string Name, MemoryNode Node) entry, long cookie)
    {
        byte[] name = Encoding.UTF8.GetBytes(entry.Name);
        uint type = FileModeBits.EntryType(entry.Node.Mode);
        if (!reply.IsPlus) { return reply.TryAdd(name, entry.Node.Id, type, (ulong)cookie); }
        FuseEntryOut attributes = Entry(entry.Node);
        if (reply.TryAddPlus(name, attributes, entry.Node.Id, type, (ulong)cookie)) { return true; }
        entry.Node.Lookups--;
        return false;
    }

    private void ReplyCreated(FuseRequest request, ReadOnlySpan<byte> name, uint mode, byte[]? target = null)
    {
        (int error, FuseEntryOut entry) = Make(request, Encoding.UTF8.GetString(name), mode, target ?? []);
        if (error != 0) { request.ReplyError(error); }
        else { request.ReplyEntry(entry); }
    }

    private (int Error, FuseEntryOut Entry) Make(FuseRequest request, string name, uint mode, byte[] target)
    {
        lock (gate)
        {
            MemoryNode parent = nodes[request.NodeId];
            if (parent.Find(name) is not null) { return (Errno.EEXIST, default); }
            MemoryNode node = new(nextId++, mode) { Uid = request.Uid, Gid = request.Gid, Target = target };
            if (node.IsDirectory) { node.Links = 2; }
            nodes.Add(node.Id, node);
            parent.Add(name, node);
            return (0, Entry(node));
        }
    }

    private int Remove(ulong parentId, string name, bool directory)
    {
        lock (gate)
        {
            MemoryNode parent = nodes[parentId];
            MemoryNode? node = parent.Find(name);
            if (node is null) { return Errno.ENOENT; }
            if (node.IsDirectory != directory) { return directory ? Errno.ENOTDIR : Errno.EISDIR; }
            if (node.Entries.Count > 0) { return Errno.ENOTEMPTY; }
            parent.Remove(name);
            node.Links -= directory ? 2U : 1U;
            DropIfDead(node);
            return 0;
        }
    }

    private int Move(ulong fromParent, string from, ulong toParent, string to, RenameFlags flags)
    {
        lock (gate)
        {
            MemoryNode source = nodes[fromParent];
            MemoryNode? node = source.Find(from);
            if (node is null) { return Errno.ENOENT; }
            MemoryNode? target = nodes[toParent].Find(to);
            if (target is not null && flags == RenameFlags.NoReplace) { return Errno.EEXIST; }
            if (target is not null && flags != RenameFlags.None) { return Errno.EINVAL; }
            if (target is not null)
            {
                nodes[toParent].Remove(to);
                target.Links--;
                DropIfDead(target);
            }

            source.Remove(from);
            nodes[toParent].Add(to, node);
            return 0;
        }
    }

    /// <summary>An entry that the kernel will count as a lookup.</summary>
    private FuseEntryOut Entry(MemoryNode node)
    {
        node.Lookups++;
        return new FuseEntryOut
        {
            Nodeid = node.Id,
            Generation = 1,
            EntryValid = ValidSeconds,
            AttrValid = ValidSeconds,
            Attr = node.Attr(),
        };
    }

    private void DropIfDead(MemoryNode node)
    {
        if (node.Links == 0 && node.Lookups == 0) { nodes.Remove(node.Id); }
    }

    private static void Answer(FuseRequest request, int error)
    {
        if (error == 0) { request.ReplyOk(); }
        else { request.ReplyError(error); }
    }
}
