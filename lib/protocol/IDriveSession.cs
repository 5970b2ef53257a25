using KvFs.Core;

namespace KvFs.Protocol;

/// <summary>A client's session with one drive: everything a mount asks of the drive's collection primary.</summary>
/// <remarks>
/// Thread safe. Spans and requests are lent for the call only: an implementation that cannot answer at once copies them
/// before it returns. Every method answers a <see cref="Status"/>; it throws only for callers' mistakes.
/// <para>An answer of Ok means: in the log of every in-sync replica, visible to every later request of anybody; it survives
/// the death of any process. <see cref="SyncAsync"/> makes all that was answered before it durable. Source: docs/design.md,
/// section 6.</para>
/// Parameters named "at": the version to read at; <see cref="CowNumber.Head"/> for the present.
/// </remarks>
public interface IDriveSession : IAsyncDisposable
{
    SessionId Id { get; }

    DriveId Drive { get; }

    /// <summary>What it may do, and beside whom.</summary>
    SessionAccess Access { get; }

    /// <summary>Where the drive's blocks are read and written.</summary>
    IBlockService Blocks { get; }

    /// <summary>Ends when the session is over although nobody has closed it, and whoever is recalled has dropped what it kept: nothing is done
    /// under it any more. A session with a primary in the same process lives as long as that.</summary>
    Task Expired => SessionExpiry.Never;

    /// <summary>Names who answers when the primary recalls what this session keeps. Call once, before the first write.
    /// </summary>
    void OnRecall(ISessionRecall recall);

    /// <summary>A VNode by name; <see cref="Status.NotFound"/>, <see cref="Status.NotDirectory"/>.</summary>
    ValueTask<Reply<NodeInfo>> LookupAsync(VNodeId parent, ReadOnlySpan<byte> name, CowNumber at);

    /// <summary>A VNode by id; <see cref="Status.Stale"/> if it is gone.</summary>
    ValueTask<Reply<NodeInfo>> GetAsync(VNodeId id, CowNumber at);

    /// <summary>Fills a page with the entries whose cookies are greater than the given one, ascending.</summary>
    ValueTask<Status> ReadDirectoryAsync(
        VNodeId directory, CowNumber at, ulong cookie, int maxEntries, bool withNodes, DirectoryPage page);

    ValueTask<Status> ReadLinkAsync(VNodeId id, CowNumber at, ByteBuffer target);

    ValueTask<Status> GetXattrAsync(VNodeId id, CowNumber at, ReadOnlySpan<byte> name, ByteBuffer value);

    /// <summary>The names of all attributes, each with a NUL behind it.</summary>
    ValueTask<Status> ListXattrsAsync(VNodeId id, CowNumber at, ByteBuffer names);

    ValueTask<Reply<NodeInfo>> CreateAsync(in CreateRequest request);

    ValueTask<Reply<NodeInfo>> LinkAsync(in LinkRequest request);

    ValueTask<Reply<UnlinkResult>> UnlinkAsync(in UnlinkRequest request);

    /// <summary>Answers what became of the VNode that the target's name led to before.</summary>
    ValueTask<Reply<UnlinkResult>> RenameAsync(in RenameRequest request);

    ValueTask<Reply<NodeInfo>> SetAttributesAsync(in SetAttributesRequest request);

    ValueTask<Status> SetXattrAsync(in SetXattrRequest request);

    ValueTask<Status> RemoveXattrAsync(in RemoveXattrRequest request);

    /// <summary>Holds a VNode: until as many <see cref="ReleaseAsync"/>, losing its last name makes it an orphan, not
    /// nothing.</summary>
    ValueTask<Reply<NodeInfo>> HoldAsync(VNodeId id);

    ValueTask<Status> ReleaseAsync(VNodeId id);

    /// <summary>What a cluster shows. Immutable; the reply may be shared with other callers.</summary>
    ValueTask<Reply<ClusterMap>> GetClusterAsync(VNodeId id, uint cluster, CowNumber at);

    /// <summary>Puts runs into files, all in one transaction; answers the VNodes in the order of the commits.</summary>
    /// <returns>NotFound: a block was stored under another primary of the drive than this one, and was not named there: a power cut of all nodes may
    /// have taken it. Store it under another number.</returns>
    ValueTask<Status> CommitAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results);

    /// <summary>As <see cref="CommitAsync"/>, for who will ask for <see cref="SyncAsync"/> next.</summary>
    /// <returns>With Ok: whether that need not be asked any more: this is durable, and all that was answered before it was asked.</returns>
    async ValueTask<Reply<bool>> CommitDurablyAsync(IReadOnlyList<FileCommit> commits, IList<NodeInfo> results) =>
        new(await CommitAsync(commits, results).ConfigureAwait(false), false);

    ValueTask<Reply<NodeInfo>> ChangeRangeAsync(in RangeRequest request);

    /// <summary>Answers the bytes that were copied.</summary>
    ValueTask<Reply<ulong>> CopyRangeAsync(in CopyRangeRequest request);

    /// <summary>Does several operations, or none of them, if what they rely on still holds.</summary>
    /// <remarks>The request, with the commits in it, is lent until the answer; <paramref name="result"/> is filled by then. What the
    /// transaction uses more of bytes and VNodes (<see cref="TransactResult.Grown"/>) is taken from what
    /// <see cref="ReserveAsync"/> set aside. What it opens is held as by <see cref="HoldAsync"/>: once for each
    /// <see cref="CreateOperation.Opened"/>.</remarks>
    /// <returns>Ok; or why nothing was done, and <see cref="TransactResult.FailedAt"/> says where. Conflict: a precondition does not
    /// hold, or a block is not the session's to name. Invalid: not within <see cref="TransactRequest.MaxOperations"/>, a reference
    /// to no earlier operation, an id that the session was not granted or has used. TooLarge: more than
    /// <see cref="Limits.TransactionBytes"/>. Busy: what is in the way is not cleared yet; send it again.</returns>
    ValueTask<Status> TransactAsync(TransactRequest request, TransactResult result);

    /// <summary>Asks for the writes to a file of a drive that is shared: until they are recalled (<see cref="ISessionRecall.ReturnAsync"/>) or
    /// given back, they may be answered from memory and committed later, and nobody else reads or changes the file meanwhile.</summary>
    /// <returns>Ok: the file as it is; Locked: not now, somebody else has it open; Stale, IsDirectory, Invalid; NotSupported: this session does
    /// not share its drive, and need not ask.</returns>
    ValueTask<Reply<NodeInfo>> DelegateAsync(VNodeId id) => new(Reply.Failed<NodeInfo>(Status.NotSupported));

    /// <summary>Gives the writes to files back, at most <see cref="ReturnDelegations.MaxCount"/>, of which all is committed.</summary>
    ValueTask<Status> ReturnDelegationsAsync(IReadOnlyCollection<VNodeId> nodes) => new(Status.NotSupported);

    /// <summary>The session is alive for certain: what was left with it still is.</summary>
    bool HoldsLease => true;

    /// <summary>Grants a run of block ids to this session; each may be sent with one content only.</summary>
    ValueTask<Reply<BlockId>> GrantBlocksAsync(uint count);

    /// <summary>Grants a run of VNode ids to this session: it may create one VNode under each, before or after it has told its
    /// program the id. No id is granted twice; those that are left when the session ends are never used.
    /// <see cref="Status.Invalid"/>: none, or more than <see cref="GrantVNodes.MaxCount"/>.</summary>
    ValueTask<Reply<VNodeId>> GrantVNodesAsync(uint count);

    /// <summary>Gives ids of a grant back that no commit named and none will: what is stored under them goes. Those that one
    /// did name stay what they are.</summary>
    ValueTask<Status> ReturnBlocksAsync(BlockId first, uint count);

    /// <summary>Sets bytes and VNodes aside for writes that are buffered: <see cref="Status.NoSpace"/> comes in time. What a
    /// commit or <see cref="TransactAsync"/> of this session uses is taken from it; the rest returns with <see cref="Unreserve"/>. <see cref="Status.Busy"/>: the primary is new,
    /// and of other sessions it is not known yet what they have set aside; ask again.</summary>
    ValueTask<Status> ReserveAsync(Reservation reservation);

    void Unreserve(Reservation reservation);

    /// <summary>Makes everything that was answered before this call durable.</summary>
    ValueTask<Status> SyncAsync();

    /// <summary>The first lock of somebody else that is in the way of the given one; a type of Unlock if there is none.
    /// </summary>
    ValueTask<Reply<FileLock>> TestLockAsync(VNodeId id, LockSpace space, FileLock wanted);

    /// <summary>Sets, changes or removes a lock; with <paramref name="wait"/> the answer comes when it is granted.</summary>
    ValueTask<Status> SetLockAsync(
        VNodeId id, LockSpace space, FileLock wanted, bool wait, CancellationToken cancellationToken);

    /// <summary>Removes all range locks of an owner on a VNode: what a close does.</summary>
    ValueTask<Status> UnlockAllAsync(VNodeId id, LockOwner owner);

    ValueTask<Reply<DriveUsage>> GetUsageAsync();

    /// <summary>The drive's snapshots, by name.</summary>
    ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync();
}

/// <summary>The end of sessions that nobody closed.</summary>
internal static class SessionExpiry
{
    /// <summary>Never ends.</summary>
    public static Task Never { get; } = new TaskCompletionSource().Task;
}

/// <summary>What a client does when the primary asks its session for what it keeps.</summary>
/// <remarks>Called from threads that serve no requests; never with a lock of the primary held.</remarks>
public interface ISessionRecall
{
    /// <summary>Commits everything that is buffered: before a snapshot, a clone, a restore, or because space runs short; and gives back what was
    /// reserved for more.</summary>
    ValueTask<Status> FlushAsync();

    /// <summary>Drops everything that is cached: the drive was changed behind the session's back.</summary>
    ValueTask InvalidateAsync();

    /// <summary>Commits what is buffered of files, and gives them back (<see cref="IDriveSession.ReturnDelegationsAsync"/>): somebody else asks for
    /// them. Not Ok: they are kept, because something cannot be committed for now.</summary>
    ValueTask<Status> ReturnAsync(IReadOnlyCollection<VNodeId> nodes) => new(Status.Ok);
}

/// <summary>What statfs(2) tells of a drive.</summary>
/// <param name="TotalBytes">The quota, or what the node's disk could give the drive.</param>
/// <param name="UsedBytes">Backed bytes of all its files.</param>
/// <param name="FreeBytes">What may still be written.</param>
/// <param name="TotalInodes">The quota of VNodes; <see cref="ulong.MaxValue"/> / 2 where there is none.</param>
/// <param name="UsedInodes">VNodes in use.</param>
public readonly record struct DriveUsage(
    ulong TotalBytes, ulong UsedBytes, ulong FreeBytes, ulong TotalInodes, ulong UsedInodes);

/// <summary>A retained version of a drive.</summary>
public sealed record SnapshotInfo(string Name, CowNumber At, Timestamp Created);

/// <summary>Stores and returns blocks.</summary>
/// <remarks>Thread safe. Buffers are lent until the answer.</remarks>
public interface IBlockService
{
    /// <summary>Stores a block; Ok once it is on disk (or, of what <see cref="IDriveSession.SyncAsync"/> or a commit orders
    /// behind it, will be before that). The same id with other content is <see cref="Status.Exists"/>; one that the session has not (any
    /// more) been granted is <see cref="Status.Conflict"/>.</summary>
    ValueTask<Status> WriteBlockAsync(BlockName name, ReadOnlyMemory<byte> content);

    /// <summary>Fills the destination from a block; every touched checksum was compared.</summary>
    ValueTask<Status> ReadBlockAsync(BlockName name, uint offset, Memory<byte> destination);

    /// <summary>Reads a range if it is in memory here, so that it does not wait. False: it is not, or not good; ask
    /// <see cref="ReadBlockAsync"/>.</summary>
    bool TryReadCached(BlockName name, uint offset, Span<byte> destination) => false;

    /// <summary>Tells that a part of a block will be read soon.</summary>
    void Prefetch(BlockName name, uint offset, uint length);
}
