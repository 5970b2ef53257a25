using System.Text;
using KvFs.Core;

namespace KvFs.Core.Tests;

/// <summary>The operations with texts for names, each in a transaction of its own: what most tests of one operation say.
/// </summary>
public static class DriveActions
{
    public static readonly Credentials Alice = new(1000, 100);

    public static Status Make(
        this TestDrive drive, VNodeId parent, string name, VNodeKind kind, out NodeInfo made, ushort mode = 0x1ED)
    {
        NodeInfo info = default;
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        Status status = drive.Run(transaction => Create.Apply(
            new()
            {
                Parent = parent,
                Name = bytes,
                Kind = kind,
                Mode = mode,
                Caller = Alice,
                SymlinkTarget = kind == VNodeKind.Symlink ? "target"u8 : default,
            },
            transaction,
            out info));
        made = info;
        return status;
    }

    /// <summary>Makes what a test needs before it starts.</summary>
    public static VNodeId Given(this TestDrive drive, VNodeId parent, string name, VNodeKind kind = VNodeKind.File)
    {
        Assert.Equal(Status.Ok, drive.Make(parent, name, kind, out NodeInfo made));
        return made.Id;
    }

    public static VNodeId GivenDirectory(this TestDrive drive, VNodeId parent, string name) =>
        drive.Given(parent, name, VNodeKind.Directory);

    /// <summary>Makes a file without a name, held by a session.</summary>
    public static Status MakeNameless(
        this TestDrive drive, VNodeId parent, SessionId holder, bool linkable, out NodeInfo made)
    {
        NodeInfo info = default;
        Status status = drive.Run(transaction => Create.Apply(
            new()
            {
                Parent = parent,
                Kind = VNodeKind.File,
                Mode = 0x1A4,
                Caller = Alice,
                OpenedBy = holder,
                Nameless = linkable,
            },
            transaction,
            out info));
        made = info;
        return status;
    }

    public static Status Link(this TestDrive drive, VNodeId node, VNodeId parent, string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        return drive.Run(transaction => Core.Link.Apply(
            new() { Node = node, NewParent = parent, NewName = bytes }, transaction, out _));
    }

    public static Status Unlink(
        this TestDrive drive, VNodeId parent, string name, out UnlinkResult result, params SessionId[] holders)
    {
        UnlinkResult outcome = default;
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        Status status = drive.Run(transaction => Core.Unlink.Apply(
            new() { Parent = parent, Name = bytes, Holders = holders }, transaction, out outcome));
        result = outcome;
        return status;
    }

    public static Status Unlink(this TestDrive drive, VNodeId parent, string name) =>
        drive.Unlink(parent, name, out _);

    public static Status RemoveDirectory(
        this TestDrive drive, VNodeId parent, string name, params SessionId[] holders)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        return drive.Run(transaction => Core.Unlink.Apply(
            new() { Parent = parent, Name = bytes, Directory = true, Holders = holders }, transaction, out _));
    }

    public static Status Rename(
        this TestDrive drive,
        VNodeId oldParent,
        string oldName,
        VNodeId newParent,
        string newName,
        RenameFlags flags = RenameFlags.None,
        params SessionId[] holders) =>
        drive.Rename(oldParent, oldName, newParent, newName, out _, flags, holders);

    public static Status Rename(
        this TestDrive drive,
        VNodeId oldParent,
        string oldName,
        VNodeId newParent,
        string newName,
        out UnlinkResult result,
        RenameFlags flags = RenameFlags.None,
        params SessionId[] holders)
    {
        UnlinkResult outcome = default;
        byte[] oldBytes = Encoding.UTF8.GetBytes(oldName);
        byte[] newBytes = Encoding.UTF8.GetBytes(newName);
        Status status = drive.Run(transaction => Core.Rename.Apply(
            new()
            {
                OldParent = oldParent,
                OldName = oldBytes,
                NewParent = newParent,
                NewName = newBytes,
                Flags = flags,
                Caller = Alice,
                Holders = holders,
            },
            transaction,
            out outcome));
        result = outcome;
        return status;
    }

    public static Status SetXattr(
        this TestDrive drive, VNodeId node, string name, ReadOnlySpan<byte> value, XattrMode mode = XattrMode.Any)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        byte[] content = value.ToArray();
        return drive.Run(transaction => Core.SetXattr.Apply(
            new() { Node = node, Name = bytes, Value = content, Mode = mode }, transaction, out _));
    }

    public static Status RemoveXattr(this TestDrive drive, VNodeId node, string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        return drive.Run(transaction => Core.RemoveXattr.Apply(
            new() { Node = node, Name = bytes }, transaction, out _));
    }

    public static Status GetXattr(this DriveView view, VNodeId node, string name, out byte[] value)
    {
        ByteBuffer buffer = new();
        Status status = Core.GetXattr.Apply(view, node, Encoding.UTF8.GetBytes(name), buffer);
        value = buffer.Span.ToArray();
        return status;
    }

    public static Status Set(this TestDrive drive, SetAttributesRequest request) =>
        drive.Run(transaction => SetAttributes.Apply(request, transaction, out _));

    /// <summary>Writes bytes into the first cluster of a file, as a commit with one inline run.</summary>
    public static void Write(this TestDrive drive, VNodeId id, int offset, ReadOnlySpan<byte> bytes)
    {
        FileCommit commit = new() { Node = id, MinSize = (ulong)(offset + bytes.Length) };
        commit.Inline.Append(bytes);
        commit.Runs.Add(new((ulong)offset, (uint)bytes.Length, SliceKind.Inline, default, 0));
        Assert.Equal(Status.Ok, drive.Run(transaction =>
        {
            commit.ModifyTime = drive.Now;
            return CommitSlices.Apply(commit, transaction, out _);
        }));
    }

    /// <summary>What the first cluster of a file shows: inline bytes and zeros.</summary>
    public static byte[] Content(this DriveView view, VNodeId id)
    {
        VNode vnode = view.Get(id);
        byte[] content = new byte[vnode.Size];
        ClusterMap map = new();
        Assert.Equal(Status.Ok, ReadCluster.Apply(id, vnode, 0, view, map));
        foreach (Slice run in map.Runs)
        {
            map.Inline.Slice((int)run.SourceOffset, (int)run.Length).CopyTo(content.AsSpan((int)run.Offset));
        }

        return content;
    }

    public static CowNumber Snapshot(this TestDrive drive, string name)
    {
        RetainedVersion snapshot = default;
        Assert.Equal(Status.Ok, drive.Run(t => CreateSnapshot.Apply(name, t, out snapshot)));
        return snapshot.At;
    }

    public static Status Find(this DriveView view, VNodeId parent, string name, out NodeInfo found) =>
        Lookup.Apply(view, parent, Encoding.UTF8.GetBytes(name), out found);

    /// <summary>A VNode that must be there.</summary>
    public static VNode Get(this DriveView view, VNodeId id)
    {
        Assert.Equal(Status.Ok, GetNode.Apply(view, id, out NodeInfo info));
        return info.VNode;
    }

    public static bool Exists(this DriveView view, VNodeId id) => GetNode.Apply(view, id, out _) == Status.Ok;

    /// <summary>All names of a directory, sorted; read a few at a time.</summary>
    public static List<string> Names(this DriveView view, VNodeId directory, int pageEntries = 3)
    {
        NameList sink = new();
        bool isLast;
        do
        {
            Assert.Equal(
                Status.Ok,
                ReadDirectory.Apply(view, directory, sink.Cookie, pageEntries, withNodes: true, sink, out isLast));
        }
        while (!isLast);

        sink.Names.Sort(string.CompareOrdinal);
        return sink.Names;
    }
}

/// <summary>Keeps the names of a directory and the last cookie.</summary>
public sealed class NameList : IDirectorySink
{
    public List<string> Names { get; } = [];

    public ulong Cookie { get; private set; }

    public void Add(ReadOnlySpan<byte> name, ulong cookie, Dentry dentry, NodeInfo info)
    {
        Names.Add(Encoding.UTF8.GetString(name));
        Cookie = cookie;
    }
}
