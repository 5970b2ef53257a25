using System.Text;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Protocol;

namespace KvFs.Simulation.Nodes;

/// <summary>What users and the background do to a node, beside a model of it: one step at a time, each chosen by the step's own
/// seed and by what there is.</summary>
/// <remarks>So a workload is a list of seeds, and stays one when some of them are left out. Every answer is compared with what
/// the model expects.</remarks>
internal sealed partial class NodeWorkload(NodeUnderTest node, ModelWorld world)
{
    private const int MaxDrives = 4;
    private const int MaxNodes = 20;
    private const int MaxSnapshots = 3;
    private const int MaxDepth = 3;
    private const string Nothing = "nothing";

    /// <summary>How often a step that is not possible is chosen anew.</summary>
    private const int Tries = 5;

    private readonly SortedDictionary<string, IDriveSession> sessions = new(StringComparer.Ordinal);
    private readonly List<HeldNode> held = [];
    private Random chance = new(0);

    /// <summary>A VNode that a session holds open, and what it is if it can be linked.</summary>
    private readonly record struct HeldNode(string Drive, VNodeId Id, ModelNode? Linkable);

    /// <summary>What the node shows if the last step was answered Ok; what it may show, too, if it was not answered.</summary>
    internal ModelWorld World { get; private set; } = world;

    /// <summary>What the last step was.</summary>
    internal string Name { get; private set; } = "start";

    /// <summary>The last step was answered as durable, with all before it.</summary>
    internal bool IsDurable { get; private set; }

    /// <summary>The last step met a disk that fails.</summary>
    internal bool HasFailed { get; private set; }

    /// <summary>The disk may fail now.</summary>
    internal bool MayFail { get; set; }

    internal void Step(int seed)
    {
        chance = new(seed);
        Name = Nothing;
        IsDurable = false;
        HasFailed = false;
        try
        {
            for (int tries = 0; tries < Tries && Name == Nothing; tries++) { Choose(); }
        }
        catch (DiskFailedException)
        {
            HasFailed = true;
        }
    }

    /// <summary>The disk failed in the last step, whatever that answered.</summary>
    internal void OnDiskFailed() => HasFailed = true;

    /// <summary>Ends all sessions: what they held goes.</summary>
    internal void CloseSessions()
    {
        foreach (string drive in sessions.Keys.ToArray()) { CloseSession(drive); }
    }

    private void Choose()
    {
        if (World.Drives.Count == 0)
        {
            CreateDrive();
            return;
        }

        string drive = World.Drives.Keys.ElementAt(chance.Next(World.Drives.Count));
        switch (chance.Next(100))
        {
            case < 11: Create(drive); break;
            case < 23: Write(drive); break;
            case < 29: Transact(drive); break;
            case < 33: Truncate(drive); break;
            case < 38: ChangeRange(drive); break;
            case < 42: CopyRange(drive); break;
            case < 44: SetAttributes(drive); break;
            case < 48: ChangeXattr(drive); break;
            case < 51: Link(drive); break;
            case < 57: Rename(drive); break;
            case < 62: Unlink(drive); break;
            case < 64: CreateNameless(drive); break;
            case < 67: ReleaseHeld(); break;
            case < 68: Lock(drive); break;
            case < 72: Sync(drive); break;
            case < 76: CreateSnapshot(drive); break;
            case < 79: DeleteSnapshot(drive); break;
            case < 81: Clone(drive); break;
            case < 84: RestorePath(drive); break;
            case < 85: RestoreDrive(drive); break;
            case < 86: DeleteDrive(drive); break;
            case < 87: CreateDrive(); break;
            case < 88: Resize(drive); break;
            case < 89: CloseSession(drive); break;
            case < 92: Fold(drive); break;
            case < 94: Flatten(); break;
            case < 96: Repack(); break;
            case < 98: Flush(); break;
            default: Reap(); break;
        }
    }

    /// <summary>Takes an answer: only a quota may be in the way of Ok.</summary>
    private void Answer(Status status, string drive, ModelWorld after)
    {
        bool isFull = status is Status.NoSpace or Status.NoInodes
            && World.Drives.TryGetValue(drive, out ModelDrive? known) && known.HasQuota;
        if (isFull) { return; }
        HasFailed = MayFail && status == Status.IoError;
        if (!HasFailed && status != Status.Ok) { throw new Storage.BrokenPromiseException($"{Name} answers {status}"); }
        World = after;
    }

    /// <summary>Takes the answer of something that is only on the way.</summary>
    private void Require(Status status)
    {
        if (status == Status.Ok) { return; }
        if (MayFail && status == Status.IoError) { throw new DiskFailedException(); }
        throw new Storage.BrokenPromiseException($"on the way, {Name} met {status}");
    }

    private ModelTree Tree(string drive) => World.Drives[drive].Tree;

    private HostedDrive Hosted(string drive)
    {
        HostedDrive? hosted = node.Node.Host.Find(drive);
        Invariant.Check(hosted is not null);
        return hosted;
    }

    private IDriveSession Session(string drive)
    {
        if (sessions.TryGetValue(drive, out IDriveSession? session)) { return session; }
        Reply<IDriveSession> opened = node.Node.Admin.OpenSessionAsync(drive, SessionAccess.Alone, default).Now();
        Require(opened.Status);
        return sessions[drive] = opened.Value;
    }

    private void CloseSession(string drive)
    {
        if (!sessions.Remove(drive, out IDriveSession? session)) { return; }
        Name = $"close session {drive}";
        held.RemoveAll(holding => holding.Drive == drive);
        session.DisposeAsync().Now();
    }

    /// <summary>The node's id of what the model has at a place.</summary>
    private VNodeId Find(string drive, ulong id)
    {
        if (id == ModelTree.Root) { return VNodeId.Root; }
        ModelTree tree = Tree(drive);
        VNodeId at = VNodeId.Root;
        foreach (string name in tree.PathOf(tree.Names().First(name => name.Node == id)).Split('/')[1..])
        {
            Reply<NodeInfo> found = Session(drive).LookupAsync(at, Bytes(name), CowNumber.Head).Now();
            Require(found.Status);
            at = found.Value.Id;
        }

        return at;
    }

    private T Pick<T>(IReadOnlyList<T> all) => all[chance.Next(all.Count)];

    private string FreshName() => ((char)('a' + chance.Next(8))).ToString();

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    /// <summary>The disk failed where the step had only begun.</summary>
    private sealed class DiskFailedException : Exception;
}
