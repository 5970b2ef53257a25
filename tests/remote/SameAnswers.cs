using System.Globalization;
using System.Text;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Remote.Tests;

/// <summary>A random workload over the whole of <see cref="IDriveSession"/>: every step is one request, told as a function of a
/// session, that answers all it can see as text.</summary>
/// <remarks>What a step needs of earlier answers it takes from those of one session: as long as all answers were the same, they are
/// those of the other one, too.</remarks>
internal sealed class SameAnswers(int seed)
{
    private readonly Random random = new(seed);
    private readonly List<VNodeId> nodes = [VNodeId.Root];
    private readonly List<VNodeId> held = [];
    private readonly List<CowNumber> versions = [];
    private BlockId granted;
    private uint grantedLeft;
    private VNodeId grantedNode;
    private uint grantedNodesLeft;

    /// <summary>Answers that come now are those that the workload goes on with.</summary>
    public bool IsLearning { get; set; }

    /// <summary>Which VNodes and versions of the session that is learned from are which of the other one; null: the same ones.</summary>
    public AnswerPairs? Pairs { get; init; }

    /// <summary>Statuses that were answered: a workload that only fails tells nothing.</summary>
    public SortedDictionary<Status, int> Seen { get; } = [];

    /// <summary>The last request belongs to the session that the ones like it belong to: it needs what that has been granted, or holds.</summary>
    public bool IsOfOneSession { get; private set; }

    /// <summary>A version that may be read at from now on.</summary>
    public void Retain(CowNumber version) => versions.Add(version);

    public Func<IDriveSession, Task<string>> Next()
    {
        int kind = random.Next(31);
        IsOfOneSession = kind is 17 or 18 or 20 or 21 or 22 or 25 or 26 or 27 or 28 or 29;
        return Next(kind);
    }

    private Func<IDriveSession, Task<string>> Next(int kind) => kind switch
    {
        0 or 1 or 2 or 3 => Create(),
        4 => Link(),
        5 or 6 => Unlink(),
        7 or 8 => Rename(),
        9 => SetAttributes(),
        10 => SetXattr(),
        11 => RemoveXattr(),
        12 => GetXattr(),
        13 => Lookup(),
        14 => Get(),
        15 => ReadDirectory(),
        16 => ReadLink(),
        17 => Hold(),
        18 => Release(),
        19 => GetCluster(),
        20 or 21 or 22 => Commit(),
        23 => ChangeRange(),
        24 => CopyRange(),
        25 or 26 => Transact(),
        27 => Grant(),
        28 => Reserve(),
        29 => Locks(),
        _ => Usage(),
    };

    private Func<IDriveSession, Task<string>> Create()
    {
        VNodeId parent = Node();
        byte[] name = Name();
        VNodeKind kind = (VNodeKind)random.Next(9);
        ushort mode = (ushort)random.Next(0x1000);
        byte[] target = Bytes(20);
        Credentials caller = new((uint)random.Next(3), (uint)random.Next(3));
        bool opens = random.Next(5) == 0;
        VNodeId id = random.Next(4) == 0 ? TakeNode() : VNodeId.None;
        NodeTimes? times = random.Next(4) == 0 ? NodeTimes.Made(new(random.Next())) : null;
        IsOfOneSession = opens || id != VNodeId.None;
        return async session =>
        {
            Reply<NodeInfo> reply = await session.CreateAsync(new()
            {
                Parent = Its(parent), Name = name, Kind = kind, Mode = mode, Umask = 0x12, Rdev = 5, SymlinkTarget = target,
                Caller = caller, OpenedBy = opens ? session.Id : default, Id = Its(id), Times = times,
            });
            return Learn(reply, holds: opens);
        };
    }

    private Func<IDriveSession, Task<string>> Link()
    {
        (VNodeId node, VNodeId parent, byte[] name) = (Node(), Node(), Name());
        return async session => Learn(await session.LinkAsync(new() { Node = Its(node), NewParent = Its(parent), NewName = name }));
    }

    private Func<IDriveSession, Task<string>> Unlink()
    {
        (VNodeId parent, byte[] name, bool directory) = (Node(), Name(), random.Next(3) == 0);
        return async session => Learn(await session.UnlinkAsync(new() { Parent = Its(parent), Name = name, Directory = directory }));
    }

    private Func<IDriveSession, Task<string>> Rename()
    {
        (VNodeId from, byte[] old, VNodeId to, byte[] name) = (Node(), Name(), Node(), Name());
        RenameFlags flags = (RenameFlags)(random.Next(3) == 0 ? random.Next(9) : 0);
        return async session => Learn(await session.RenameAsync(
            new() { OldParent = Its(from), OldName = old, NewParent = Its(to), NewName = name, Flags = flags }));
    }

    private Func<IDriveSession, Task<string>> SetAttributes()
    {
        SetAttributesRequest request = new()
        {
            Node = Node(), Mask = (AttributeMask)random.Next(2048), Mode = (ushort)random.Next(0x1000), Uid = 3, Gid = 4,
            Size = (ulong)random.Next(300_000), AccessTime = new(1), ModifyTime = new(2), ChangeTime = new(3),
        };
        return async session => Learn(await session.SetAttributesAsync(request with { Node = Its(request.Node) }));
    }

    private Func<IDriveSession, Task<string>> SetXattr()
    {
        (VNodeId node, byte[] name, byte[] value, XattrMode mode) = (Node(), Attribute(), Bytes(100), (XattrMode)random.Next(3));
        return async session => Note(await session.SetXattrAsync(new() { Node = Its(node), Name = name, Value = value, Mode = mode }));
    }

    private Func<IDriveSession, Task<string>> RemoveXattr()
    {
        (VNodeId node, byte[] name) = (Node(), Attribute());
        return async session => Note(await session.RemoveXattrAsync(new() { Node = Its(node), Name = name }));
    }

    private Func<IDriveSession, Task<string>> GetXattr()
    {
        (VNodeId node, byte[] name, CowNumber at, bool lists) = (Node(), Attribute(), At(), random.Next(2) == 0);
        return async session =>
        {
            ByteBuffer value = new();
            Status status = lists
                ? await session.ListXattrsAsync(Its(node), Its(at), value)
                : await session.GetXattrAsync(Its(node), Its(at), name, value);
            return Note(status) + (status == Status.Ok ? Convert.ToHexString(value.Span) : "");
        };
    }

    private Func<IDriveSession, Task<string>> Lookup()
    {
        (VNodeId parent, byte[] name, CowNumber at) = (Node(), Name(), At());
        return async session => Learn(await session.LookupAsync(Its(parent), name, Its(at)));
    }

    private Func<IDriveSession, Task<string>> Get()
    {
        (VNodeId node, CowNumber at) = (Node(), At());
        return async session => Learn(await session.GetAsync(Its(node), Its(at)));
    }

    private Func<IDriveSession, Task<string>> ReadDirectory()
    {
        (VNodeId node, CowNumber at, int max, bool withNodes) = (Node(), At(), random.Next(-1, 30), random.Next(2) == 0);
        return async session =>
        {
            DirectoryPage page = new();
            StringBuilder text = new();
            ulong cookie = 0;
            do
            {
                Status status = await session.ReadDirectoryAsync(Its(node), Its(at), cookie, max, withNodes, page);
                text.Append(Note(status));
                if (status != Status.Ok) { return text.ToString(); }
                for (int i = 0; i < page.Count; i++)
                {
                    text.Append(Convert.ToHexString(page.Name(i))).Append(page.Cookie(i)).Append(page.Dentry(i)).Append(page.Info(i));
                }

                if (page.Count > 0) { cookie = page.Cookie(page.Count - 1); }
            }
            while (!page.IsLast);
            return text.ToString();
        };
    }

    private Func<IDriveSession, Task<string>> ReadLink()
    {
        (VNodeId node, CowNumber at) = (Node(), At());
        return async session =>
        {
            ByteBuffer target = new();
            Status status = await session.ReadLinkAsync(Its(node), Its(at), target);
            return Note(status) + (status == Status.Ok ? Convert.ToHexString(target.Span) : "");
        };
    }

    private Func<IDriveSession, Task<string>> Hold()
    {
        VNodeId node = Node();
        return async session => Learn(await session.HoldAsync(Its(node)), holds: true);
    }

    private Func<IDriveSession, Task<string>> Release()
    {
        if (held.Count == 0) { return Usage(); }
        VNodeId node = held[random.Next(held.Count)];
        held.Remove(node);
        return async session => Note(await session.ReleaseAsync(Its(node)));
    }

    private Func<IDriveSession, Task<string>> GetCluster()
    {
        (VNodeId node, uint cluster, CowNumber at) = (Node(), random.Next(10) == 0 ? uint.MaxValue : (uint)random.Next(2), At());
        return async session =>
        {
            Reply<ClusterMap> reply = await session.GetClusterAsync(Its(node), cluster, Its(at));
            string text = Note(reply.Status);
            if (!reply.IsOk) { return text; }
            StringBuilder all = new(text);
            all.Append(CultureInfo.InvariantCulture, $"{reply.Value.DeltaCount} {reply.Value.MappedBytes}");
            foreach (Slice run in reply.Value.Runs)
            {
                all.Append(run with { SourceOffset = 0 });
                if (run.Kind == SliceKind.Inline)
                {
                    all.Append(Convert.ToHexString(reply.Value.Inline.Slice((int)run.SourceOffset, (int)run.Length)));
                    continue;
                }

                if (run.Kind != SliceKind.Block) { continue; }
                byte[] content = new byte[run.Length];
                all.Append(await session.Blocks.ReadBlockAsync(run.Block, run.SourceOffset, content)).Append(Convert.ToHexString(content));
            }

            return all.ToString();
        };
    }

    private Func<IDriveSession, Task<string>> Commit()
    {
        int count = random.Next(1, 4);
        List<Func<DriveId, FileCommit>> commits = [];
        List<BlockWrite> writes = [];
        for (int at = 0; at < count; at++)
        {
            commits.Add(FileCommit(out BlockWrite? write));
            if (write is not null) { writes.Add(write); }
        }

        return async session =>
        {
            StringBuilder text = new();
            foreach (BlockWrite write in writes)
            {
                text.Append(await session.Blocks.WriteBlockAsync(new(session.Drive, write.Block), write.Content));
            }

            List<NodeInfo> results = [];
            Status status = await session.CommitAsync([.. commits.Select(commit => commit(session.Drive))], results);
            text.Append(Note(status));
            if (status == Status.Ok) { text.AppendJoin(',', results); }
            return text.ToString();
        };
    }

    private Func<DriveId, FileCommit> FileCommit(out BlockWrite? write)
    {
        VNodeId node = Node();
        uint offset = (uint)random.Next(200_000);
        uint length = (uint)random.Next(1, 9_000);
        byte[] content = Bytes((int)length, exact: true);
        BlockId block = random.Next(10) == 0 ? new(123_456) : TakeBlock();
        SliceKind kind = length <= Limits.InlineSliceBytes ? (SliceKind)random.Next(1, 5) : SliceKind.Block;
        write = kind == SliceKind.Block && block.Value != 0 ? new(block, content) : null;
        SetAttributesRequest? attributes = random.Next(4) == 0
            ? new() { Node = node, Mask = AttributeMask.Mode, Mode = (ushort)random.Next(0x1000) }
            : null;
        ulong minSize = random.Next(5) == 0 ? 0 : offset + length;
        return drive =>
        {
            FileCommit commit = new()
            {
                Node = Its(node), MinSize = minSize, ModifyTime = new(offset), KillSetId = true,
                Attributes = attributes is { } set ? set with { Node = Its(node) } : null,
            };
            if (kind == SliceKind.Inline) { commit.Inline.Set(content); }
            commit.Runs.Add(new(offset, length, kind, kind == SliceKind.Block ? new(drive, block) : default, 0));
            return commit;
        };
    }

    private Func<IDriveSession, Task<string>> ChangeRange()
    {
        RangeRequest request = new(
            Node(), (RangeOperation)random.Next(7), (ulong)random.Next(30) * 4096, (ulong)random.Next(10) * 4096, random.Next(2) == 0);
        return async session => Learn(await session.ChangeRangeAsync(request with { Node = Its(request.Node) }));
    }

    private Func<IDriveSession, Task<string>> CopyRange()
    {
        CopyRangeRequest request = new(
            Node(), At(), (ulong)random.Next(200_000), Node(), (ulong)random.Next(200_000), (ulong)random.Next(100_000));
        return async session =>
        {
            Reply<ulong> reply = await session.CopyRangeAsync(
                request with { Source = Its(request.Source), SourceAt = Its(request.SourceAt), Target = Its(request.Target) });
            return Note(reply.Status) + (reply.IsOk ? reply.Value : "");
        };
    }

    private Func<IDriveSession, Task<string>> Transact()
    {
        int count = random.Next(0, 6);
        List<Func<DriveId, TransactOperation>> operations = [];
        for (int at = 0; at < count; at++)
        {
            NodeReference parent = random.Next(3) == 0 ? NodeReference.ResultOf(random.Next(4)) : Node();
            byte[] name = Name();
            byte[] attribute = Attribute();
            Func<DriveId, FileCommit> commit = FileCommit(out _);
            VNodeKind kind = (VNodeKind)random.Next(1, 4);
            bool opened = random.Next(4) == 0;
            SetAttributesRequest set = new() { Mask = AttributeMask.Mode | AttributeMask.Uid, Mode = 0x1C0, Uid = 7 };
            switch (random.Next(7))
            {
                case 0 or 1:
                    operations.Add(_ => new CreateOperation(Its(parent), name, kind) { Mode = 0x1FF, SymlinkTarget = name, Opened = opened });
                    break;
                case 2:
                    operations.Add(_ => new UnlinkOperation(Its(parent), name, false));
                    break;
                case 3:
                    operations.Add(_ => new RenameOperation(Its(parent), name, VNodeId.Root, attribute));
                    break;
                case 4:
                    operations.Add(_ => new SetAttributesOperation(Its(parent), set));
                    break;
                case 5:
                    operations.Add(_ => new SetXattrOperation(Its(parent), attribute, name));
                    break;
                default:
                    operations.Add(drive => new CommitOperation(Its(parent), commit(drive)));
                    break;
            }
        }

        Precondition[] preconditions = random.Next(3) == 0 ? [new NameIsFree(VNodeId.Root, Name())] : [];
        return async session =>
        {
            TransactResult result = new();
            Status status = await session.TransactAsync(
                new(preconditions, [.. operations.Select(operation => operation(session.Drive))]), result);
            if (IsLearning) { held.AddRange(result.Opened); }
            return $"{Note(status)} {string.Join(',', result.Nodes)} {Text(result.ToReap)} {Text(result.Opened)} "
                + $"{result.Grown} {result.FailedAt} {result.IsPrecondition}";
        };
    }

    private Func<IDriveSession, Task<string>> Grant()
    {
        uint count = random.Next(8) == 0 ? 5000 : (uint)random.Next(1, 40);
        if (random.Next(3) == 0)
        {
            return async session =>
            {
                Reply<VNodeId> reply = await session.GrantVNodesAsync(count);
                if (reply.IsOk && IsLearning) { (grantedNode, grantedNodesLeft) = (reply.Value, count); }
                if (reply.IsOk && !IsLearning) { Pairs?.Add(grantedNode, reply.Value, count); }
                return Note(reply.Status) + (reply.IsOk && Pairs is null ? reply.Value : "");
            };
        }

        return async session =>
        {
            Reply<BlockId> reply = await session.GrantBlocksAsync(count);
            if (reply.IsOk) { (granted, grantedLeft) = (reply.Value, count); }
            return Note(reply.Status) + (reply.IsOk ? reply.Value : "");
        };
    }

    private Func<IDriveSession, Task<string>> Reserve()
    {
        Reservation wanted = new((ulong)random.Next(100_000), (ulong)random.Next(3));
        BlockId returned = grantedLeft > 0 ? TakeBlock() : default;
        return async session =>
        {
            string text = Note(await session.ReserveAsync(wanted));
            session.Unreserve(new(wanted.Bytes / 2, wanted.Inodes));
            session.Unreserve(wanted);
            if (returned.Value != 0) { text += Note(await session.ReturnBlocksAsync(returned, 1)); }
            return text + Note(await session.SyncAsync());
        };
    }

    private Func<IDriveSession, Task<string>> Locks()
    {
        VNodeId node = Node();
        LockSpace space = (LockSpace)random.Next(2);
        ulong owner = (ulong)random.Next(3);
        FileLock wanted = new(
            (ulong)random.Next(50), (ulong)random.Next(40, 100), (LockType)random.Next(3), new(default, owner), (uint)random.Next(9));
        return async session =>
        {
            string text = Note(await session.SetLockAsync(Its(node), space, wanted, wait: false, CancellationToken.None));
            Reply<FileLock> test = await session.TestLockAsync(Its(node), space, wanted with { Owner = new(default, 9) });
            text += Note(test.Status) + test.Value;
            return text + (owner == 2 ? Note(await session.UnlockAllAsync(Its(node), new(session.Id, owner))) : "");
        };
    }

    private Func<IDriveSession, Task<string>> Usage() => async session =>
    {
        Reply<DriveUsage> usage = await session.GetUsageAsync();
        Reply<IReadOnlyList<SnapshotInfo>> snapshots = await session.ListSnapshotsAsync();

        // The free space is that of a disk that others use, too.
        return $"{Note(usage.Status)} {usage.Value.UsedBytes} {usage.Value.UsedInodes} {usage.Value.TotalInodes} "
            + $"{Note(snapshots.Status)} {string.Join(',', snapshots.Value)}";
    };

    private static string Text(IReadOnlyList<VNodeId> ids) => string.Join(',', ids.Select(static id => $"Id = {id}"));

    private VNodeId Its(VNodeId id) => IsLearning || Pairs is null ? id : Pairs.Of(id);

    private NodeReference Its(NodeReference node) =>
        node.Id == VNodeId.None ? node : NodeReference.To(Its(node.Id));

    private CowNumber Its(CowNumber at) => IsLearning || Pairs is null ? at : Pairs.Of(at);

    private string Learn(Reply<NodeInfo> reply, bool holds = false)
    {
        if (reply.IsOk && IsLearning)
        {
            if (!nodes.Contains(reply.Value.Id)) { nodes.Add(reply.Value.Id); }
            if (holds) { held.Add(reply.Value.Id); }
        }

        return Note(reply.Status) + (reply.IsOk ? reply.Value : "");
    }

    private string Learn(Reply<UnlinkResult> reply) => Note(reply.Status) + (reply.IsOk ? reply.Value : "");

    private string Note(Status status)
    {
        Seen[status] = Seen.GetValueOrDefault(status) + 1;
        return $"[{status}]";
    }

    private VNodeId Node() => random.Next(3) switch
    {
        0 => VNodeId.Root,
        1 => nodes[Math.Max(0, nodes.Count - 1 - random.Next(10))],
        _ => random.Next(20) == 0 ? new((ulong)random.Next(1000)) : nodes[random.Next(nodes.Count)],
    };

    private CowNumber At() => random.Next(4) switch
    {
        0 when versions.Count > 0 => versions[random.Next(versions.Count)],
        _ => CowNumber.Head,
    };

    private byte[] Name() => random.Next(12) switch
    {
        0 => [],
        1 => [(byte)'.'],
        2 => new byte[random.Next(250, 300)],
        3 => [255, 254, (byte)random.Next(4)],
        _ => Encoding.UTF8.GetBytes($"n{random.Next(12)}"),
    };

    private byte[] Attribute() => Encoding.UTF8.GetBytes(random.Next(6) == 0 ? "other" : $"user.a{random.Next(4)}");

    private byte[] Bytes(int upTo, bool exact = false)
    {
        byte[] bytes = new byte[exact ? upTo : random.Next(upTo)];
        random.NextBytes(bytes);
        return bytes;
    }

    private BlockId TakeBlock()
    {
        if (grantedLeft == 0) { return default; }
        grantedLeft--;
        BlockId taken = granted;
        granted = new(granted.Value + 1);
        return taken;
    }

    private VNodeId TakeNode()
    {
        if (grantedNodesLeft == 0) { return VNodeId.None; }
        grantedNodesLeft--;
        VNodeId taken = grantedNode;
        grantedNode = new(grantedNode.Value + 1);
        return taken;
    }

    private sealed record BlockWrite(BlockId Block, byte[] Content);
}
