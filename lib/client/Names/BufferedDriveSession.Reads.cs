using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <content>What is read: answered from what is known, or asked for, and known from then on.</content>
public sealed partial class BufferedDriveSession
{
    /// <summary>Entries up to which a directory of which a name is asked for is asked for as a whole.</summary>
    private const ulong SmallDirectory = 64;

    private static readonly VNodeId None = VNodeId.None;

    public ValueTask<Reply<NodeInfo>> LookupAsync(VNodeId parent, ReadOnlySpan<byte> name, CowNumber at)
    {
        if (at != CowNumber.Head) { return inner.LookupAsync(parent, name, at); }
        return TryLookup(parent, name, out Reply<NodeInfo> reply, out _) ? new(reply) : FinishLookupAsync(parent, name.ToArray());
    }

    public ValueTask<Reply<NodeInfo>> GetAsync(VNodeId id, CowNumber at)
    {
        if (at != CowNumber.Head) { return inner.GetAsync(id, at); }
        return TryGet(id, out Reply<NodeInfo> reply, out _) ? new(reply) : FinishGetAsync(id);
    }

    public async ValueTask<Status> ReadDirectoryAsync(
        VNodeId directory, CowNumber at, ulong cookie, int maxEntries, bool withNodes, DirectoryPage page)
    {
        ArgumentNullException.ThrowIfNull(page);
        if (at != CowNumber.Head) { return await inner.ReadDirectoryAsync(directory, at, cookie, maxEntries, withNodes, page); }
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            if (TryReadDirectory(directory, cookie, maxEntries, withNodes, page, out Status status, out MirrorMiss? miss))
            {
                return status;
            }

            if (miss is null || await FetchAsync(miss) is not { } fetched) { break; }
            if (fetched != Status.Ok) { return fetched; }
        }

        Status told = await TellAllAsync();
        if (told != Status.Ok) { return told; }
        CowNumber asked = Asked();
        DirectoryPage there = new();
        Status read = await inner.ReadDirectoryAsync(directory, at, cookie, maxEntries, withNodes, there);
        page.Clear();
        page.IsLast = there.IsLast;
        for (int entry = 0; entry < there.Count; entry++)
        {
            page.Add(there.Name(entry), there.Cookie(entry), there.Dentry(entry), Known(there.Info(entry), asked));
        }

        return read;
    }

    public async ValueTask<Status> ReadLinkAsync(VNodeId id, CowNumber at, ByteBuffer target)
    {
        if (at != CowNumber.Head) { return await inner.ReadLinkAsync(id, at, target); }
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            MirrorMiss? miss;
            lock (gate)
            {
                if (!holdsLease()) { break; }
                if (reads.TryReadLink(id, target, out Status status)) { return status; }
                miss = mirror.Miss;
            }

            if (miss is null || await FetchAsync(miss) is not { } fetched) { break; }
            if (fetched != Status.Ok) { return fetched; }
        }

        Status told = await TellAllAsync();
        return told == Status.Ok ? await inner.ReadLinkAsync(id, at, target) : told;
    }

    public ValueTask<Status> GetXattrAsync(VNodeId id, CowNumber at, ReadOnlySpan<byte> name, ByteBuffer value)
    {
        if (at != CowNumber.Head) { return inner.GetXattrAsync(id, at, name, value); }
        lock (gate)
        {
            if (holdsLease() && reads.TryGetXattr(id, name, value, out Status status)) { return new(status); }
        }

        byte[] asked = name.ToArray();
        return ToldAsync(id, static failure => failure, () => inner.GetXattrAsync(id, at, asked, value));
    }

    public ValueTask<Status> ListXattrsAsync(VNodeId id, CowNumber at, ByteBuffer names)
    {
        if (at != CowNumber.Head) { return inner.ListXattrsAsync(id, at, names); }
        lock (gate)
        {
            if (holdsLease() && reads.TryListXattrs(id, names, out Status status)) { return new(status); }
        }

        return ToldAsync(id, static failure => failure, () => inner.ListXattrsAsync(id, at, names));
    }

    public ValueTask<Reply<ClusterMap>> GetClusterAsync(VNodeId id, uint cluster, CowNumber at) => at == CowNumber.Head
        ? ToldAsync(id, Reply.Failed<ClusterMap>, () => inner.GetClusterAsync(id, cluster, at))
        : inner.GetClusterAsync(id, cluster, at);

    public ValueTask<Reply<FileLock>> TestLockAsync(VNodeId id, LockSpace space, FileLock wanted) =>
        ToldAsync(id, Reply.Failed<FileLock>, () => inner.TestLockAsync(id, space, wanted));

    public ValueTask<Status> SetLockAsync(
        VNodeId id, LockSpace space, FileLock wanted, bool wait, CancellationToken cancellationToken) => ToldAsync(
            id, static failure => failure, () => inner.SetLockAsync(id, space, wanted, wait, cancellationToken));

    public ValueTask<Status> UnlockAllAsync(VNodeId id, LockOwner owner) =>
        ToldAsync(id, static failure => failure, () => inner.UnlockAllAsync(id, owner));

    public async ValueTask<Reply<DriveUsage>> GetUsageAsync()
    {
        Status told = await TellAllAsync();
        return told == Status.Ok ? await inner.GetUsageAsync() : Reply.Failed<DriveUsage>(told);
    }

    public ValueTask<Reply<BlockId>> GrantBlocksAsync(uint count) => inner.GrantBlocksAsync(count);

    public ValueTask<Reply<VNodeId>> GrantVNodesAsync(uint count) => inner.GrantVNodesAsync(count);

    public ValueTask<Status> ReturnBlocksAsync(BlockId first, uint count) => inner.ReturnBlocksAsync(first, count);

    public async ValueTask<Status> ReserveAsync(Reservation reservation)
    {
        Status status = await inner.ReserveAsync(reservation);
        if (status == Status.Ok)
        {
            lock (gate) { reservedInodes += reservation.Inodes; }
        }

        return status;
    }

    /// <remarks>Not what is set aside for what is made here.</remarks>
    public void Unreserve(Reservation reservation)
    {
        ulong inodes;
        lock (gate)
        {
            inodes = Math.Min(reservation.Inodes, reservedInodes);
            reservedInodes -= inodes;
        }

        inner.Unreserve(reservation with { Inodes = inodes });
    }

    public ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync() => inner.ListSnapshotsAsync();

    private async ValueTask<Reply<NodeInfo>> FinishLookupAsync(VNodeId parent, byte[] name)
    {
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            if (TryLookup(parent, name, out Reply<NodeInfo> reply, out MirrorMiss? miss)) { return reply; }
            if (miss is null || await FetchAsync(miss) is not { } fetched) { break; }
            if (fetched != Status.Ok) { return Reply.Failed<NodeInfo>(fetched); }
        }

        return await AskAsync(() => inner.LookupAsync(parent, name, CowNumber.Head));
    }

    private async ValueTask<Reply<NodeInfo>> FinishGetAsync(VNodeId id)
    {
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            if (TryGet(id, out Reply<NodeInfo> reply, out MirrorMiss? miss)) { return reply; }
            if (miss is null || await FetchAsync(miss) is not { } fetched) { break; }
            if (fetched != Status.Ok) { return Reply.Failed<NodeInfo>(fetched); }
        }

        return await AskAsync(() => inner.GetAsync(id, CowNumber.Head));
    }

    private bool TryLookup(VNodeId parent, ReadOnlySpan<byte> name, out Reply<NodeInfo> reply, out MirrorMiss? miss)
    {
        reply = default;
        miss = null;
        lock (gate)
        {
            if (!holdsLease()) { return false; }
            if (reads.TryLookup(parent, name, out reply)) { return true; }
            miss = mirror.Miss;
            return false;
        }
    }

    private bool TryGet(VNodeId id, out Reply<NodeInfo> reply, out MirrorMiss? miss)
    {
        reply = default;
        miss = null;
        lock (gate)
        {
            if (!holdsLease()) { return false; }
            if (reads.TryGet(id, out reply)) { return true; }
            miss = mirror.Miss;
            return false;
        }
    }

    private bool TryReadDirectory(
        VNodeId directory,
        ulong cookie,
        int maxEntries,
        bool withNodes,
        DirectoryPage page,
        out Status status,
        out MirrorMiss? miss)
    {
        status = Status.Unavailable;
        miss = null;
        lock (gate)
        {
            if (holdsLease())
            {
                if (reads.TryReadDirectory(directory, cookie, maxEntries, withNodes, page, out status)) { return true; }
                miss = mirror.Miss;
                return false;
            }
        }

        page.Clear();
        return false;
    }

    /// <summary>Asks the primary for what is not known. Ok: it may be known now, try again. Null: it is not worth knowing.</summary>
    private async ValueTask<Status?> FetchAsync(MirrorMiss miss)
    {
        long epoch;
        CowNumber asked;
        bool whole;
        while (true)
        {
            lock (gate)
            {
                epoch = mirror.Epoch;
                asked = new(version);
                whole = miss.Kind == RecordKind.Dentry && AsksForAll(miss);

                // What was done before something was forgotten must be told first: the primary has it then, and nobody here.
                if (pending.Done >= forgottenAt) { break; }
            }

            Status told = await TellAllAsync();
            if (told != Status.Ok) { return told; }
        }

        switch (miss.Kind)
        {
            case RecordKind.VNode:
                return Learn(epoch, asked, None, null, miss.Node, await inner.GetAsync(miss.Node, CowNumber.Head));
            case RecordKind.Dentry when whole:
                return await FetchDirectoryAsync(miss.Node, epoch, asked);
            case RecordKind.Dentry when miss.Name is { } name:
                return Learn(epoch, asked, miss.Node, name, None, await inner.LookupAsync(miss.Node, name, CowNumber.Head));
            case RecordKind.Symlink:
                return await FetchSymlinkAsync(miss.Node, epoch);
            default:
                return null;
        }
    }

    /// <summary>Whether it pays to ask for a whole directory. Under the gate.</summary>
    private bool AsksForAll(MirrorMiss miss)
    {
        if (mirror.Directory(miss.Node) is not { Size: { } size } directory) { return false; }
        if (miss.Name is null || size <= SmallDirectory) { return size <= DriveMirror.LargeDirectory; }
        directory.Asked++;
        return size <= DriveMirror.LargeDirectory && (ulong)directory.Asked > SmallDirectory + (size / SmallDirectory);
    }

    /// <summary>Knows what an answer to a lookup (with a parent and a name) or a get (with an id) tells, unless something was
    /// forgotten since it was asked.</summary>
    private Status? Learn(
        long epoch, CowNumber asked, VNodeId parent, byte[]? name, VNodeId id, in Reply<NodeInfo> reply)
    {
        if (reply.Status is not (Status.Ok or Status.NotFound or Status.Stale)) { return reply.Status; }
        lock (gate)
        {
            if (mirror.Epoch != epoch) { return Status.Ok; }
            if (reply.IsOk && !MayKnow(reply.Value)) { return null; }
            if (reply.IsOk) { mirror.Learn(reply.Value with { Version = asked }); }
            else if (name is null) { mirror.LearnGone(id); }
            if (name is not null && reply.Status != Status.Stale)
            {
                Dentry? dentry = reply.IsOk ? new(reply.Value.Id, reply.Value.VNode.Kind) : null;
                mirror.LearnName(parent, name, dentry, asked);
            }

            Bound();
            return Status.Ok;
        }
    }

    /// <summary>Asks for all entries of a directory.</summary>
    private async ValueTask<Status> FetchDirectoryAsync(VNodeId directory, long epoch, CowNumber asked)
    {
        DirectoryPage page = new();
        ulong cookie = 0;
        do
        {
            Status status = await inner.ReadDirectoryAsync(
                directory, CowNumber.Head, cookie, DirectoryPage.MaxEntries, withNodes: true, page);
            if (status is Status.Stale or Status.NotDirectory) { return Status.Ok; }
            if (status != Status.Ok) { return status; }
            lock (gate)
            {
                if (mirror.Epoch != epoch) { return Status.Ok; }
                for (int at = 0; at < page.Count; at++)
                {
                    mirror.LearnName(directory, page.Name(at), page.Dentry(at), asked);
                    if (page.Info(at).Id != None && MayKnow(page.Info(at))) { mirror.Learn(page.Info(at) with { Version = asked }); }
                    cookie = page.Cookie(at);
                }
            }
        }
        while (!page.IsLast);
        lock (gate) { Bound(); }
        return Status.Ok;
    }

    private async ValueTask<Status> FetchSymlinkAsync(VNodeId id, long epoch)
    {
        ByteBuffer target = new();
        Status status = await inner.ReadLinkAsync(id, CowNumber.Head, target);
        if (status is not (Status.Ok or Status.Stale or Status.Invalid)) { return status; }
        lock (gate)
        {
            if (status == Status.Ok && mirror.Epoch == epoch) { mirror.LearnSymlink(id, target.Span); }
            return Status.Ok;
        }
    }

    /// <summary>Too much is known. Under the gate.</summary>
    private void Bound()
    {
        if (mirror.Count > DriveMirror.MaxRecords) { Forget(); }
    }

    /// <summary>Asks the primary for a VNode that is not known here.</summary>
    private async ValueTask<Reply<NodeInfo>> AskAsync(Func<ValueTask<Reply<NodeInfo>>> ask)
    {
        Status told = await TellAllAsync();
        if (told != Status.Ok) { return Reply.Failed<NodeInfo>(told); }
        CowNumber asked = Asked();
        Reply<NodeInfo> reply = await ask();
        return reply.IsOk ? Reply.Ok(Known(reply.Value, asked)) : reply;
    }

    /// <summary>Asks the primary about a VNode, which it knows of by then.</summary>
    private ValueTask<T> ToldAsync<T>(VNodeId id, Func<Status, T> fail, Func<ValueTask<T>> ask)
    {
        bool isNew;
        lock (gate) { isNew = pending.Creates(id); }
        return isNew ? TellAndAskAsync() : ask();

        async ValueTask<T> TellAndAskAsync()
        {
            Status told = await TellAllAsync();
            return told == Status.Ok ? await ask() : fail(told);
        }
    }

    private CowNumber Asked()
    {
        lock (gate) { return new(version); }
    }

    /// <summary>A VNode of an answer, or what is known of it by now; with the version of when it was asked for.</summary>
    private NodeInfo Known(in NodeInfo info, CowNumber asked)
    {
        if (info.Id == None) { return info; }
        lock (gate)
        {
            mirror.BeginReading();
            bool isKnown = GetNode.Apply(view, info.Id, out NodeInfo known) == Status.Ok;
            return isKnown ? known : info with { Version = asked };
        }
    }
}
