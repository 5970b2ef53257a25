using System.Runtime.InteropServices;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Node.Sessions;
using KvFs.Node.Shards;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Operation = KvFs.Protocol.V1.Request.OperationOneofCase;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>Carries out the requests of one session on the node's own session.</summary>
/// <remarks>Thread safe. Everything but a wait for a lock is done on the caller's thread.</remarks>
/// <param name="session">Whose.</param>
/// <param name="keeps">Answers go into the log: the session outlives this primary.</param>
internal sealed partial class SessionRequests(LocalDriveSession session, bool keeps)
{
    private readonly Shard shard = session.Hosted.Shard;

    /// <param name="request">What to do.</param>
    /// <param name="cancellation">Ends a wait for a lock.</param>
    /// <exception cref="InvalidDataException">A value cannot be what its field is for.</exception>
    /// <exception cref="ArgumentException">The same.</exception>
    public async ValueTask<Answered> AnswerAsync(V1.Request request, CancellationToken cancellation)
    {
        bool isSync = request.OperationCase == Operation.Sync;
        LogPosition before = isSync ? shard.Position : default;
        long sample = request.Keep ? session.Hosted.Kept.Sample() : 0;
        bool wantsDurable = request is { OperationCase: Operation.Commit, Commit.Durable: true };
        NamedRequest? named = keeps && request.Sequence != 0 ? new(request.NameIn(session.Id)) { WantsDurable = wantsDurable } : null;
        V1.Answer answer = !IsAtVersionThatIsThere(request) ? Failed(Status.NotFound)
            : named is null ? await CarryOutAsync(request, null, cancellation)
            : await LocalDriveSession.KeepAsync(named, () => CarryOutAsync(request, named, cancellation));
        if (answer.Status == V1.Status.NoSpace && request.OperationCase == Operation.Reserve && session.Access.IsShared() && session.HasReservedByOthers)
        {
            // Others may have set aside what they do not need. Nothing that they do for that waits for a reservation.
            await session.Hosted.Sessions.FlushAllAsync(session.Id);
            answer = await LocalDriveSession.KeepAsync(named, () => CarryOutAsync(request, named, cancellation));
        }

        answer.Id = request.Id;
        if (request.Keep) { await KeepAsync(request, answer, sample); }
        if (answer.Status == V1.Status.Ok && wantsDurable) { answer.Durable = shard.Sync(named?.Place ?? default) == Status.Ok; }
        if (answer.Status == V1.Status.Ok && (isSync || request.IsChange()))
        {
            LogPosition position = isSync ? before : shard.Position;
            answer.Epoch = position.Epoch.Value;
            answer.LogIndex = position.Index.Value;
        }

        // What every copy has in its log is true whoever is primary now. Anything else may have been overtaken on another node, and
        // what was refused because this one hands over is for the next one.
        bool isCommitted = answer.Status == V1.Status.Ok && named is { IsKept: true };
        return new(answer, isCommitted || (answer.Status != V1.Status.StaleEpoch && shard.CanServe));
    }

    private ValueTask<V1.Answer> CarryOutAsync(V1.Request request, NamedRequest? named, CancellationToken cancellation) =>
        request.OperationCase switch
        {
            Operation.Lookup => OfNode(session.LookupAsync(
                new(request.Lookup.Parent), request.Lookup.Name.Span, At(request.Lookup.HasAt, request.Lookup.At))),
            Operation.Get => OfNode(session.GetAsync(new(request.Get.Id), At(request.Get.HasAt, request.Get.At))),
            Operation.ReadDirectory => ReadDirectoryAsync(request.ReadDirectory),
            Operation.ReadLink => ReadLinkAsync(request.ReadLink),
            Operation.GetXattr => GetXattrAsync(request.GetXattr),
            Operation.ListXattrs => ListXattrsAsync(request.ListXattrs),
            Operation.Create => CreateAsync(request.Create, named),
            Operation.Link => OfNode(session.LinkAsync(request.Link.ToCore())),
            Operation.Unlink => OfRemoved(session.UnlinkAsync(request.Unlink.ToCore())),
            Operation.Rename => OfRemoved(session.RenameAsync(request.Rename.ToCore())),
            Operation.SetAttributes => OfNode(session.SetAttributesAsync(request.SetAttributes.ToCore())),
            Operation.SetXattr => OfStatus(session.SetXattrAsync(request.SetXattr.ToCore())),
            Operation.RemoveXattr => OfStatus(session.RemoveXattrAsync(request.RemoveXattr.ToCore())),
            Operation.Hold => OfNode(session.HoldAsync(new(request.Hold.Id))),
            Operation.Release => OfStatus(session.ReleaseAsync(new(request.Release.Id))),
            Operation.GetCluster => GetClusterAsync(request.GetCluster),
            Operation.ReadBlock => ReadBlockAsync(request.ReadBlock),
            Operation.WriteBlock => WriteBlockAsync(request.WriteBlock),
            Operation.Commit => new(Commit(request.Commit, named)),
            Operation.ChangeRange => OfNode(session.ChangeRangeAsync(request.ChangeRange.ToCore())),
            Operation.CopyRange => CopyRangeAsync(request.CopyRange),
            Operation.Transact => TransactAsync(request.Transact, named),
            Operation.GrantBlocks => GrantBlocksAsync(request.GrantBlocks),
            Operation.GrantVnodes => GrantVNodesAsync(request.GrantVnodes),
            Operation.ReturnBlocks => OfStatus(
                session.ReturnBlocksAsync(new(request.ReturnBlocks.First), request.ReturnBlocks.Count)),
            Operation.Delegate => OfNode(session.DelegateAsync(new(request.Delegate.Id))),
            Operation.ReturnDelegations => OfStatus(session.ReturnDelegationsAsync(
                [.. request.ReturnDelegations.Nodes.Take(ReturnDelegations.MaxCount + 1).Select(static node => new VNodeId(node))])),
            Operation.Reserve => OfStatus(session.ReserveAsync(new(request.Reserve.Bytes, request.Reserve.Inodes))),
            Operation.Unreserve => Unreserve(request.Unreserve),
            Operation.Sync => OfStatus(session.SyncAsync()),
            Operation.TestLock => TestLockAsync(request.TestLock),
            Operation.SetLock => SetLockAsync(request.SetLock, cancellation),
            Operation.UnlockAll => OfStatus(
                session.UnlockAllAsync(new(request.UnlockAll.Id), new(session.Id, request.UnlockAll.Owner))),
            Operation.GetUsage => GetUsageAsync(),
            Operation.ListSnapshots => ListSnapshotsAsync(),
            _ => new(Failed(Status.NotSupported)),
        };

    /// <summary>Notes that the client keeps an answer, and tells it, if it may.</summary>
    private async ValueTask KeepAsync(V1.Request request, V1.Answer answer, long sample)
    {
        List<VNodeId> nodes = [];
        V1.Node? directory = null;
        switch (request.OperationCase)
        {
            case Operation.Lookup when !request.Lookup.HasAt && answer.Status is V1.Status.Ok or V1.Status.NotFound:
                nodes.Add(new(request.Lookup.Parent));
                if (answer.Node is { } found) { nodes.Add(new(found.Id)); }
                directory = (await OfNode(session.GetAsync(nodes[0], CowNumber.Head))).Node;
                if (directory is null) { return; }
                break;
            case Operation.Get when !request.Get.HasAt && answer.Node is not null:
                nodes.Add(new(request.Get.Id));
                break;
            case Operation.ReadDirectory when !request.ReadDirectory.HasAt && answer.Page is { } page:
                nodes.Add(new(request.ReadDirectory.Directory));
                foreach (V1.DirectoryEntry entry in page.Entries)
                {
                    if (entry.Node is { } node) { nodes.Add(new(node.Id)); }
                }

                break;
            default:
                return;
        }

        // What was left with another one since it was read is marked as changed.
        if (session.Hosted.Writes.HasOthers(session.Id, nodes)) { return; }
        if (!session.Hosted.Kept.TryKeep(session.Id, CollectionsMarshal.AsSpan(nodes), sample)) { return; }
        answer.Kept = true;
        answer.Directory = directory;
    }

    /// <summary>Of a version that nobody retains some records are gone: read at it, the rest would look damaged.</summary>
    private bool IsAtVersionThatIsThere(V1.Request request)
    {
        ulong? at = request.OperationCase switch
        {
            Operation.Lookup when request.Lookup.HasAt => request.Lookup.At,
            Operation.Get when request.Get.HasAt => request.Get.At,
            Operation.ReadDirectory when request.ReadDirectory.HasAt => request.ReadDirectory.At,
            Operation.ReadLink when request.ReadLink.HasAt => request.ReadLink.At,
            Operation.GetXattr when request.GetXattr.HasAt => request.GetXattr.At,
            Operation.ListXattrs when request.ListXattrs.HasAt => request.ListXattrs.At,
            Operation.GetCluster when request.GetCluster.HasAt => request.GetCluster.At,
            Operation.CopyRange when request.CopyRange.HasSourceAt => request.CopyRange.SourceAt,
            _ => null,
        };
        return at is null || session.Hosted.State.Retained.AsSpan().BinarySearch(new CowNumber(at.Value)) >= 0;
    }

    private async ValueTask<V1.Answer> ReadDirectoryAsync(V1.ReadDirectory read)
    {
        DirectoryPage page = new();
        int max = (int)Math.Clamp(read.MaxEntries, 1, DirectoryPage.MaxEntries);
        Status status = await session.ReadDirectoryAsync(
            new(read.Directory), At(read.HasAt, read.At), read.Cookie, max, read.WithNodes, page);
        return status == Status.Ok ? new() { Page = page.ToWire(read.WithNodes) } : Failed(status);
    }

    private async ValueTask<V1.Answer> ReadLinkAsync(V1.ReadLink read)
    {
        ByteBuffer target = new();
        return OfBytes(await session.ReadLinkAsync(new(read.Id), At(read.HasAt, read.At), target), target);
    }

    private ValueTask<V1.Answer> GetXattrAsync(V1.GetXattr get)
    {
        ByteBuffer value = new();
        return OfBytesAsync(session.GetXattrAsync(new(get.Id), At(get.HasAt, get.At), get.Name.Span, value), value);
    }

    private async ValueTask<V1.Answer> ListXattrsAsync(V1.ListXattrs list)
    {
        ByteBuffer names = new();
        return OfBytes(await session.ListXattrsAsync(new(list.Id), At(list.HasAt, list.At), names), names);
    }

    private async ValueTask<V1.Answer> GetUsageAsync()
    {
        Reply<DriveUsage> reply = await session.GetUsageAsync();
        return reply.IsOk ? new() { Usage = reply.Value.ToWire() } : Failed(reply.Status);
    }

    private async ValueTask<V1.Answer> ListSnapshotsAsync()
    {
        Reply<IReadOnlyList<SnapshotInfo>> reply = await session.ListSnapshotsAsync();
        if (!reply.IsOk) { return Failed(reply.Status); }
        V1.Snapshots sent = new();
        foreach (SnapshotInfo snapshot in reply.Value) { sent.Snapshots_.Add(snapshot.ToWire()); }
        return new() { Snapshots = sent };
    }

    private static CowNumber At(bool isTold, ulong at) => isTold ? new(at) : CowNumber.Head;

    private static V1.Answer Failed(Status status) => new() { Status = status.ToWire() };

    private static V1.Answer OfBytes(Status status, ByteBuffer value) => status == Status.Ok
        ? new() { Value = UnsafeByteOperations.UnsafeWrap(value.Memory) }
        : Failed(status);

    private static async ValueTask<V1.Answer> OfBytesAsync(ValueTask<Status> done, ByteBuffer value) =>
        OfBytes(await done, value);

    private static async ValueTask<V1.Answer> OfStatus(ValueTask<Status> done) => Failed(await done);

    private ValueTask<V1.Answer> CreateAsync(V1.Create create, NamedRequest? named)
    {
        CreateRequest request = create.ToCore(session.Id);
        named?.Wish = request.Wish;
        return OfMade(session.CreateAsync(request), request.Wish);
    }

    private static async ValueTask<V1.Answer> OfMade(ValueTask<Reply<NodeInfo>> done, DelegationWish? wish)
    {
        Reply<NodeInfo> reply = await done;
        return reply.IsOk ? new() { Node = reply.Value.ToWire(), Delegated = wish is { IsGranted: true } } : Failed(reply.Status);
    }

    private static async ValueTask<V1.Answer> OfNode(ValueTask<Reply<NodeInfo>> done)
    {
        Reply<NodeInfo> reply = await done;
        return reply.IsOk ? new() { Node = reply.Value.ToWire() } : Failed(reply.Status);
    }

    private static async ValueTask<V1.Answer> OfRemoved(ValueTask<Reply<UnlinkResult>> done)
    {
        Reply<UnlinkResult> reply = await done;
        return reply.IsOk ? new() { Removed = reply.Value.ToWire() } : Failed(reply.Status);
    }
}

/// <summary>An answer, and whether it may be told.</summary>
/// <param name="Answer">What became of the request here.</param>
/// <param name="MayBeTold">False: another node may have become primary meanwhile, and what was decided here may be void.</param>
internal readonly record struct Answered(V1.Answer Answer, bool MayBeTold);
