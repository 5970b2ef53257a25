using KvFs.Core;
using KvFs.Node.Blocks;
using KvFs.Node.Sessions;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Drives;

/// <summary>Administers the drives of this node for whoever is in the same process.</summary>
/// <remarks>Thread safe. Every Ok of a change was synced. Long work (removing a drive's records, history) goes on in the
/// background; what a user sees changes at once.</remarks>
public sealed partial class LocalDriveAdmin(
    DriveHost host, BlockStore blocks, IDriveWork work) : IDriveAdmin
{
    private readonly LocalBlockService blockService = new(blocks);

    public ValueTask<Reply<DriveInfo>> CreateDriveAsync(DriveSpec spec, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(spec);
        lock (host.Changes)
        {
            // 1. The folder first: a drive that has a name always has a place for its blocks.
            if (ObjectNames.Check(spec.Name) is var named && named != Status.Ok) { return Failed<DriveInfo>(named); }
            if (spec.Spread is < 0 or > ShardOfBlock.MaxSpread) { return Failed<DriveInfo>(Status.Invalid); }
            if (host.Resume() is var resumed && resumed != Status.Ok) { return Failed<DriveInfo>(resumed); }
            if (host.Find(spec.Name) is not null) { return Failed<DriveInfo>(Status.Exists); }
            DriveId id = host.DrawId(spec.Name, origin: null);
            Shard home = host.HomeOf(id);
            if (!home.CanServe || !host.IsSettled) { return Failed<DriveInfo>(Status.StaleEpoch); }
            StorageResult made = blocks.CreateDrive(id, spec.Spread);
            if (!made.IsOk) { return Failed<DriveInfo>(made.Status); }

            // 2. Its first transaction.
            DriveTransaction transaction = new();
            CreateDriveRequest request = new()
            {
                Drive = id,
                Name = spec.Name,
                Kind = spec.Kind,
                QuotaBytes = spec.QuotaBytes,
                QuotaInodes = spec.QuotaInodes,
                Spread = spec.Spread,
            };
            RecordBatch batch = new();
            Status status = Apply(request, transaction);
            if (status == Status.Ok)
            {
                transaction.Build(batch);
                status = CommitSynced(home, id, batch, () => host.Add(home, transaction.State, transaction.Counters));
            }

            if (status != Status.Ok)
            {
                // After an IoError nobody knows whether the drive is recorded: the next start looks. After Unknown it will be.
                if (status is not (Status.IoError or Status.Unknown)) { blocks.DeleteDrive(id); }
                return Failed<DriveInfo>(status);
            }

            return Done(Describe(host.Add(home, transaction.State, transaction.Counters)));
        }
    }

    public ValueTask<Reply<IReadOnlyList<DriveInfo>>> ListDrivesAsync(CancellationToken cancellationToken)
    {
        if (!host.IsSettled) { return Failed<IReadOnlyList<DriveInfo>>(Status.StaleEpoch); }
        return new(Reply.Ok(ListHosted()));
    }

    /// <summary>The drives of the shards that this node serves now, and these shards, if others have some, too.</summary>
    internal (IReadOnlyList<DriveInfo> Drives, IReadOnlyList<ShardId> Shards) ListServed()
    {
        IReadOnlyList<ShardId> served = host.ServedShards();
        IReadOnlyList<DriveInfo> list = ListHosted();

        // What was served before and after was served meanwhile.
        return (list, host.IsOneOfSeveral ? [.. host.ServedShards().Intersect(served)] : []);
    }

    public ValueTask<Reply<DriveInfo>> GetDriveAsync(string name, CancellationToken cancellationToken) =>
        host.Find(name, out Status why) is { } drive ? Done(Describe(drive)) : Failed<DriveInfo>(why);

    public ValueTask<Reply<DriveInfo>> ResizeDriveAsync(
        string name, ulong quotaBytes, ulong quotaInodes, CancellationToken cancellationToken)
    {
        if (host.Find(name, out Status why) is not { } drive) { return Failed<DriveInfo>(why); }
        Status status = drive.Transact(
            default,
            static (in (ulong Bytes, ulong Inodes) quota, DriveTransaction transaction, out bool done) =>
            {
                done = true;
                return ResizeDrive.Apply(quota.Bytes, quota.Inodes, transaction);
            },
            (quotaBytes, quotaInodes),
            SpaceUse.Release,
            out _);
        if (status == Status.Ok) { status = drive.Shard.Sync(); }
        return status == Status.Ok ? Done(Describe(drive)) : Failed<DriveInfo>(status);
    }

    public ValueTask<Status> DeleteDriveAsync(string name, CancellationToken cancellationToken)
    {
        lock (host.Changes)
        {
            if (host.Find(name, out Status why) is not { } drive) { return new(why); }
            if (drive.Sessions.Count > 0) { return new(Status.InUse); }
            Status status = drive.Transact(
                default,
                static (in bool _, DriveTransaction transaction, out bool done) =>
                {
                    done = true;
                    return DeleteDrive.Apply(transaction);
                },
                false,
                SpaceUse.Release,
                out _);
            if (status == Status.Ok) { status = drive.Shard.Sync(); }
            if (status == Status.Ok) { work.Reap(drive); }
            return new(status);
        }
    }

    public ValueTask<Reply<IDriveSession>> OpenSessionAsync(
        string drive, SessionAccess access, CancellationToken cancellationToken)
    {
        Reply<LocalDriveSession> opened = OpenSession(drive, access, default);
        return new(new Reply<IDriveSession>(opened.Status, opened.Value));
    }

    /// <summary>Opens a session that outlives this primary if it has a token.</summary>
    internal Reply<LocalDriveSession> OpenSession(string drive, SessionAccess access, SessionToken token)
    {
        lock (host.Changes)
        {
            if (host.Find(drive, out Status why) is not { } hosted) { return Reply.Failed<LocalDriveSession>(why); }
            Status status = hosted.OpenSession(access, token, out SessionId id);
            return status == Status.Ok
                ? Reply.Ok(NewSession(hosted, id, access))
                : Reply.Failed<LocalDriveSession>(status);
        }
    }

    /// <summary>A session that is admitted: one that was opened, or one of the primary before.</summary>
    internal LocalDriveSession NewSession(HostedDrive hosted, SessionId id, SessionAccess access) =>
        new(hosted, id, access, blockService, CloseAsync);

    private IReadOnlyList<DriveInfo> ListHosted() =>
        [.. host.All.Where(static drive => drive.State.Policy.Flags == DriveFlags.None).Select(Describe)];

    private static ValueTask CloseAsync(LocalDriveSession session)
    {
        session.Hosted.CloseSession(session.Id);
        return ValueTask.CompletedTask;
    }

    private Status Apply(CreateDriveRequest request, DriveTransaction transaction)
    {
        try
        {
            return CreateDrive.Apply(request, host.Catalog, host.Records, host.Now, transaction);
        }
        catch (RecordCorruptException corrupt)
        {
            return corrupt.Status;
        }
        catch (StorageException failed)
        {
            return failed.Status;
        }
    }

    private static Status CommitSynced(Shard home, DriveId drive, RecordBatch batch, Action applied)
    {
        Status status;
        using (home.Enter()) { status = home.Commit(drive, batch, applied); }
        return status == Status.Ok ? home.Sync() : status;
    }

    private DriveInfo Describe(HostedDrive drive)
    {
        DriveState state = drive.State;
        DriveCounters counters;
        using (drive.Shard.Enter()) { counters = drive.Counters; }
        DriveId? origin = state.Policy.Origins.IsEmpty ? null : state.Policy.Origins[0].Drive;
        return new(
            drive.Id,
            state.Policy.Name,
            state.Policy.Kind,
            state.Policy.QuotaBytes,
            state.Policy.QuotaInodes,
            counters.UsedBytes,
            counters.UsedInodes,
            state.Policy.Created,
            drive.ListSnapshots(out IReadOnlyList<SnapshotInfo> snapshots) == Status.Ok ? snapshots.Count : null,
            origin,
            origin is { } id ? host.Find(id)?.State.Policy.Name : null,
            state.Policy.Spread);
    }

    private static ValueTask<Reply<T>> Done<T>(T value) => new(Reply.Ok(value));

    private static ValueTask<Reply<T>> Failed<T>(Status status) => new(Reply.Failed<T>(status));
}
