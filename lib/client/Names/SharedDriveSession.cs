using Google.Protobuf;
using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>A session that shares its drive with others that write, and keeps what the primary lets it keep: read delegations of VNodes,
/// with their names.</summary>
/// <remarks>
/// Thread safe. Owns the session around which it is. What was asked for and may be kept is known (<see cref="DriveMirror"/>) until the primary
/// asks to forget it, which it does before a change by somebody else can be seen; and it is shown only while the lease holds for certain.
/// What is asked for and was not known goes to the primary, and so does every change. Source: docs/design.md, section 8; drive.proto.
/// <para>What this session changes itself nobody recalls: it is forgotten before the change is asked for, and not learned while that is on its
/// way (<see cref="Begin"/>), so that nobody here is shown less than somebody elsewhere already sees.</para>
/// </remarks>
public sealed partial class SharedDriveSession : IDriveSession, ISessionRecall
{
    private readonly RemoteDriveSession inner;
    private readonly Lock gate = new();
    private readonly DriveMirror mirror = new();
    private readonly StoredDriveView view;
    private readonly MirrorReads reads;

    /// <summary>VNodes that changes of this session are on their way for, and how many.</summary>
    private readonly Dictionary<VNodeId, int> changing = [];

    /// <summary>Changes on their way of which nobody here can say what they change.</summary>
    private int changingAnything;

    /// <summary>Changes on their way that take names away. What a name leads to when the primary acts, nobody here knows: whatever made it lead
    /// elsewhere was recalled, and must not be learned again before the answer is here.</summary>
    private int removing;

    private ISessionRecall? user;

    /// <param name="inner">The session with the primary.</param>
    public SharedDriveSession(RemoteDriveSession inner)
    {
        ArgumentNullException.ThrowIfNull(inner);
        this.inner = inner;
        view = new(mirror, DriveMirror.StateOf(inner.Drive), CowNumber.Head);
        reads = new(mirror, view);
        inner.OnForget(Forget);
    }

    public SessionId Id => inner.Id;

    public DriveId Drive => inner.Drive;

    public SessionAccess Access => inner.Access;

    public IBlockService Blocks => inner.Blocks;

    public Task Expired => inner.Expired;

    /// <summary>Records that are known, for gauges.</summary>
    public int Known
    {
        get
        {
            lock (gate) { return mirror.Count; }
        }
    }

    /// <summary>Whether what is known may be shown. Under the gate.</summary>
    private bool MayShow => changingAnything == 0 && inner.HoldsLease && !inner.IsInDoubt;

    public void OnRecall(ISessionRecall recall)
    {
        user = recall;
        inner.OnRecall(this);
    }

    ValueTask<Status> ISessionRecall.FlushAsync() => user?.FlushAsync() ?? new(Status.Ok);

    async ValueTask ISessionRecall.InvalidateAsync()
    {
        Forget([]);
        if (user is not null) { await user.InvalidateAsync(); }
    }

    ValueTask<Status> ISessionRecall.ReturnAsync(IReadOnlyCollection<VNodeId> nodes) =>
        user?.ReturnAsync(nodes) ?? inner.ReturnDelegationsAsync(nodes);

    public bool HoldsLease => inner.HoldsLease;

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    public ValueTask<Status> SyncAsync() => inner.SyncAsync();

    public ValueTask<Reply<NodeInfo>> LookupAsync(VNodeId parent, ReadOnlySpan<byte> name, CowNumber at)
    {
        if (at != CowNumber.Head) { return inner.LookupAsync(parent, name, at); }
        long epoch;
        lock (gate)
        {
            if (MayShow && reads.TryLookup(parent, name, out Reply<NodeInfo> known)) { return new(known); }
            epoch = mirror.Epoch;
        }

        return AskAsync(parent, ByteString.CopyFrom(name), epoch);
    }

    public ValueTask<Reply<NodeInfo>> GetAsync(VNodeId id, CowNumber at)
    {
        if (at != CowNumber.Head) { return inner.GetAsync(id, at); }
        long epoch;
        lock (gate)
        {
            if (MayShow && reads.TryGet(id, out Reply<NodeInfo> known)) { return new(known); }
            epoch = mirror.Epoch;
        }

        return AskAsync(id, epoch);
    }

    public async ValueTask<Status> ReadDirectoryAsync(
        VNodeId directory, CowNumber at, ulong cookie, int maxEntries, bool withNodes, DirectoryPage page)
    {
        ArgumentNullException.ThrowIfNull(page);
        if (at == CowNumber.Head)
        {
            if (TryReadDirectory(out Status known)) { return known; }
            if (cookie == 0 && await LearnDirectoryAsync(directory) && TryReadDirectory(out known)) { return known; }
        }

        return await inner.ReadDirectoryAsync(directory, at, cookie, maxEntries, withNodes, page);

        bool TryReadDirectory(out Status status)
        {
            lock (gate)
            {
                status = default;
                return MayShow && reads.TryReadDirectory(directory, cookie, maxEntries, withNodes, page, out status);
            }
        }
    }

    /// <remarks>A target never changes, and its VNode is recalled when it goes.</remarks>
    public async ValueTask<Status> ReadLinkAsync(VNodeId id, CowNumber at, ByteBuffer target)
    {
        if (at != CowNumber.Head) { return await inner.ReadLinkAsync(id, at, target); }
        long epoch;
        lock (gate)
        {
            if (MayShow && reads.TryReadLink(id, target, out Status known)) { return known; }
            epoch = mirror.Epoch;
        }

        Status status = await inner.ReadLinkAsync(id, at, target);
        lock (gate)
        {
            if (status == Status.Ok && MayLearn(epoch)) { mirror.LearnSymlink(id, target.Span); }
            Bound();
        }

        return status;
    }

    public ValueTask<Status> GetXattrAsync(VNodeId id, CowNumber at, ReadOnlySpan<byte> name, ByteBuffer value)
    {
        lock (gate)
        {
            if (at == CowNumber.Head && MayShow && reads.TryGetXattr(id, name, value, out Status known)) { return new(known); }
        }

        return inner.GetXattrAsync(id, at, name, value);
    }

    public ValueTask<Status> ListXattrsAsync(VNodeId id, CowNumber at, ByteBuffer names)
    {
        lock (gate)
        {
            if (at == CowNumber.Head && MayShow && reads.TryListXattrs(id, names, out Status known)) { return new(known); }
        }

        return inner.ListXattrsAsync(id, at, names);
    }

    public ValueTask<Reply<ClusterMap>> GetClusterAsync(VNodeId id, uint cluster, CowNumber at) => inner.GetClusterAsync(id, cluster, at);

    public ValueTask<Reply<DriveUsage>> GetUsageAsync() => inner.GetUsageAsync();

    public ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync() => inner.ListSnapshotsAsync();

    /// <summary>The primary asks to forget VNodes; none named: all.</summary>
    private void Forget(IReadOnlyList<ulong> nodes)
    {
        lock (gate)
        {
            if (nodes.Count == 0) { mirror.Clear(); }
            foreach (ulong node in nodes) { mirror.ForgetAll(new(node)); }
        }
    }

    private async ValueTask<Reply<NodeInfo>> AskAsync(VNodeId parent, ByteString name, long epoch)
    {
        KeptReply told = await inner.LookupToKeepAsync(parent, name);
        lock (gate)
        {
            if (!told.IsKept || !MayLearn(epoch) || changing.ContainsKey(parent)) { return told.Reply; }
            mirror.Learn(told.Directory);
            if (told.Reply.IsOk) { Learn(told.Reply.Value); }
            if (!NameRules.IsDot(name.Span) && !NameRules.IsDotDot(name.Span))
            {
                Dentry? dentry = told.Reply.IsOk ? new(told.Reply.Value.Id, told.Reply.Value.VNode.Kind) : null;
                mirror.LearnName(parent, name.Span, dentry, told.Directory.Version);
            }

            Bound();
            return told.Reply;
        }
    }

    private async ValueTask<Reply<NodeInfo>> AskAsync(VNodeId id, long epoch)
    {
        KeptReply told = await inner.GetToKeepAsync(id);
        lock (gate)
        {
            if (told.IsKept && told.Reply.IsOk && MayLearn(epoch)) { Learn(told.Reply.Value); }
            Bound();
        }

        return told.Reply;
    }

    /// <summary>Learns all entries of a directory. False: it is too large, or changes meanwhile.</summary>
    private async ValueTask<bool> LearnDirectoryAsync(VNodeId directory)
    {
        Reply<NodeInfo> info = await GetAsync(directory, CowNumber.Head);
        if (!info.IsOk || !info.Value.VNode.IsDirectory || info.Value.VNode.Size > DriveMirror.LargeDirectory) { return false; }
        long epoch;
        lock (gate)
        {
            if (!MayShow || !reads.TryGet(directory, out _)) { return false; }
            epoch = mirror.Epoch;
        }

        DirectoryPage page = new();
        ulong cookie = 0;
        do
        {
            (Status status, bool isKept) = await inner.ReadDirectoryToKeepAsync(directory, cookie, page);
            if (status != Status.Ok || !isKept) { return false; }
            lock (gate)
            {
                if (!MayLearn(epoch)) { return false; }
                for (int at = 0; at < page.Count; at++)
                {
                    mirror.LearnName(directory, page.Name(at), page.Dentry(at), info.Value.Version);
                    if (page.Info(at).Id != VNodeId.None) { Learn(page.Info(at)); }
                    cookie = page.Cookie(at);
                }

                Bound();
            }
        }
        while (!page.IsLast);
        return true;
    }

    /// <summary>Whether nothing can have changed since an answer was asked for that the primary did not recall. Under the gate.</summary>
    private bool MayLearn(long epoch) => mirror.Epoch == epoch && changingAnything == 0 && removing == 0 && !inner.IsInDoubt;

    /// <summary>Learns a VNode, unless it is being changed. Under the gate.</summary>
    private void Learn(in NodeInfo info)
    {
        if (!changing.ContainsKey(info.Id)) { mirror.Learn(info); }
    }

    /// <summary>Too much is known. Under the gate.</summary>
    private void Bound()
    {
        if (mirror.Count > DriveMirror.MaxRecords) { mirror.Clear(); }
    }
}
