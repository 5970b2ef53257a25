using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;

namespace KvFs.Client.Remote;

/// <summary>Administers the drives of a pool of several nodes, and opens sessions with them, wherever they are served.</summary>
/// <remarks>
/// Thread safe. Who serves a drive changes when nodes come and go: what was not applied is asked again, of whoever serves then,
/// for <see cref="RemoteClientOptions.OpenTime"/>; then the answer is Busy, or, if nobody says that it serves the drive, Unavailable. All that is done for a
/// request together has <see cref="RemoteClientOptions.AdminTime"/>. What may have been applied is Unknown, as with one node. Sessions go on with whoever
/// serves their drive.
/// </remarks>
public sealed class PoolDriveAdmin : IDriveAdmin, ISessionRoute, IDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<GrpcChannel>> channels = new();
    private readonly ImmutableArray<string> seeds;
    private readonly Func<string, GrpcChannel> dial;
    private readonly RemoteClientOptions options;
    private readonly NearCopies near;
    private PoolDirectory? known;

    /// <param name="seeds">Addresses of some of the nodes; others are learned from them.</param>
    /// <param name="dial">Makes a channel to an address.</param>
    /// <param name="options">How long to try.</param>
    public PoolDriveAdmin(ImmutableArray<string> seeds, Func<string, GrpcChannel> dial, RemoteClientOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfZero(seeds.Length);
        this.seeds = seeds;
        this.dial = dial;
        this.options = options;
        near = new(this, options);
    }

    /// <summary>The newest map that was told; null: none yet.</summary>
    internal PoolDirectory? Known => Volatile.Read(ref known);

    public ValueTask<Reply<DriveInfo>> CreateDriveAsync(DriveSpec spec, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(spec);
        return RepeatAsync(
            async deadline => await DirectoryAsync(cancellationToken) is { } pool
                ? await At(pool, pool.Primaries[HomeShard.OfName(spec.Name, pool.Primaries.Length).Value], deadline).CreateDriveAsync(spec, cancellationToken)
                : Reply.Failed<DriveInfo>(Status.Unavailable),
            cancellationToken);
    }

    /// <remarks>While shards change hands no moment may have all of them served: each counts as it was when it was.</remarks>
    public ValueTask<Reply<IReadOnlyList<DriveInfo>>> ListDrivesAsync(CancellationToken cancellationToken)
    {
        Dictionary<uint, IReadOnlyList<DriveInfo>> byShard = [];
        return RepeatAsync(
            async deadline =>
            {
                if (await DirectoryAsync(cancellationToken) is not { } pool) { return Reply.Failed<IReadOnlyList<DriveInfo>>(Status.Unavailable); }
                return await TryListAsync(pool, byShard, deadline, cancellationToken)
                    ? Reply.Ok<IReadOnlyList<DriveInfo>>([.. byShard.Values.SelectMany(static some => some).OrderBy(static drive => drive.Id)])
                    : Reply.Failed<IReadOnlyList<DriveInfo>>(Status.Unavailable);
            },
            cancellationToken);
    }

    public ValueTask<Reply<DriveInfo>> GetDriveAsync(string name, CancellationToken cancellationToken) => RepeatAsync(
        async deadline =>
        {
            Reply<(RemoteDriveAdmin Admin, DriveInfo Drive)> found = await FindAsync(name, deadline, cancellationToken);
            return new Reply<DriveInfo>(found.Status, found.Value.Drive);
        },
        cancellationToken);

    public ValueTask<Reply<DriveInfo>> ResizeDriveAsync(
        string name, ulong quotaBytes, ulong quotaInodes, CancellationToken cancellationToken) =>
        AtDriveAsync(name, (admin, _) => admin.ResizeDriveAsync(name, quotaBytes, quotaInodes, cancellationToken), cancellationToken);

    public ValueTask<Status> DeleteDriveAsync(string name, CancellationToken cancellationToken) =>
        AtDriveAsync(name, (admin, _) => admin.DeleteDriveAsync(name, cancellationToken), cancellationToken);

    public ValueTask<Reply<SnapshotInfo>> CreateSnapshotAsync(
        string drive, string snapshot, CancellationToken cancellationToken) =>
        AtDriveAsync(drive, (admin, _) => admin.CreateSnapshotAsync(drive, snapshot, cancellationToken), cancellationToken);

    public ValueTask<Reply<IReadOnlyList<SnapshotInfo>>> ListSnapshotsAsync(string drive, CancellationToken cancellationToken) =>
        AtDriveAsync(drive, (admin, _) => admin.ListSnapshotsAsync(drive, cancellationToken), cancellationToken);

    public ValueTask<Status> DeleteSnapshotAsync(string drive, string snapshot, CancellationToken cancellationToken) =>
        AtDriveAsync(drive, (admin, _) => admin.DeleteSnapshotAsync(drive, snapshot, cancellationToken), cancellationToken);

    public ValueTask<Reply<DriveInfo>> CloneAsync(
        string drive, string? snapshot, string clone, CancellationToken cancellationToken) => AtDriveAsync(
        drive,
        async (admin, deadline) =>
        {
            // Its name belongs elsewhere than it will live: somebody there may have it.
            Reply<(RemoteDriveAdmin Admin, DriveInfo Drive)> taken = await FindAsync(clone, deadline, cancellationToken);
            if (taken.Status != Status.NotFound) { return Reply.Failed<DriveInfo>(taken.IsOk ? Status.Exists : taken.Status); }
            return await admin.CloneAsync(drive, snapshot, clone, cancellationToken);
        },
        cancellationToken);

    public ValueTask<Status> RestoreAsync(string drive, string snapshot, string path, CancellationToken cancellationToken) =>
        AtDriveAsync(drive, (admin, _) => admin.RestoreAsync(drive, snapshot, path, cancellationToken), cancellationToken);

    public ValueTask<Reply<IDriveSession>> OpenSessionAsync(string drive, SessionAccess access, CancellationToken cancellationToken) =>
        AtDriveAsync(drive, (admin, _) => admin.OpenSessionAsync(drive, access, this, cancellationToken), cancellationToken);

    /// <summary>Where the pool's nodes are; null: no node that is known answers.</summary>
    /// <remarks>All are asked at once: one that is cut off tells what was. It ends with the first one that knows more than was known
    /// here, or when half of them have answered, or none is left.</remarks>
    public async ValueTask<PoolDirectory?> DirectoryAsync(CancellationToken cancellation)
    {
        PoolDirectory? before = Volatile.Read(ref known);
        string[] addresses = [.. (before is null ? seeds : before.Nodes.Values.Concat(seeds)).Distinct()];
        using CancellationTokenSource enough = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        List<Task<PoolDirectory?>> asked = [.. addresses.Select(address => AskAsync(address, enough.Token))];
        int answers = 0;
        PoolDirectory? newest = null;
        await foreach (Task<PoolDirectory?> each in Task.WhenEach(asked))
        {
            if (await each is not { } told) { continue; }
            if (newest is null || told.Revision > newest.Revision) { newest = told; }
            if (newest.Revision > (before?.Revision ?? 0) || 2 * ++answers > addresses.Length) { break; }
        }

        await enough.CancelAsync();
        cancellation.ThrowIfCancellationRequested();
        return newest is null ? null : Learn(newest);
    }

    /// <summary>How the copies of blocks are on the nodes, as far as they answer; in the order of their numbers.</summary>
    public async ValueTask<IReadOnlyList<(NodeId Node, NodeHealth Health)>> HealthAsync(CancellationToken cancellation)
    {
        if (await DirectoryAsync(cancellation) is not { } pool) { return []; }
        NodeId[] nodes = [.. pool.Nodes.Keys.OrderBy(static node => node.Value)];
        NodeHealth?[] told = await Task.WhenAll(nodes.Select(node => AskHealthAsync(pool.Nodes[node], cancellation)));
        cancellation.ThrowIfCancellationRequested();
        return [.. nodes.Zip(told).Where(static one => one.Second is not null).Select(static one => (one.First, one.Second!))];
    }

    TimeSpan? ISessionRoute.ResumeTime => options.ResumeTime;

    NearCopies ISessionRoute.Near => near;

    async ValueTask<GrpcChannel?> ISessionRoute.FindAsync(DriveId drive, CancellationToken cancellation)
    {
        if (await DirectoryAsync(cancellation) is not { } pool) { return null; }
        NodeId primary = pool.Primaries[HomeShard.Of(drive, pool.Primaries.Length).Value];
        return pool.Nodes.TryGetValue(primary, out string? address) ? ChannelTo(address) : null;
    }

    public void Dispose()
    {
        near.Dispose();
        foreach (Lazy<GrpcChannel> channel in channels.Values)
        {
            if (channel.IsValueCreated) { channel.Value.Dispose(); }
        }
    }

    private async Task<PoolDirectory?> AskAsync(string address, CancellationToken cancellation)
    {
        try
        {
            return (await ChannelTo(address).UnaryAsync(
                PoolMethods.GetMap, new(), new() { Timeout = options.LookTime }, cancellation)).ToDirectory();
        }
        catch (Exception e) when (e is GrpcException or InvalidDataException or OperationCanceledException or ObjectDisposedException)
        {
            return null;
        }
    }

    private async Task<NodeHealth?> AskHealthAsync(string address, CancellationToken cancellation)
    {
        try
        {
            return (await ChannelTo(address).UnaryAsync(
                PoolMethods.GetHealth, new(), new() { Timeout = options.LookTime }, cancellation)).ToHealth();
        }
        catch (Exception e) when (e is GrpcException or OperationCanceledException or ObjectDisposedException)
        {
            return null;
        }
    }

    /// <summary>Keeps the newest of what is known and what was told.</summary>
    private PoolDirectory Learn(PoolDirectory told)
    {
        while (true)
        {
            PoolDirectory? before = Volatile.Read(ref known);
            if (before is not null && before.Revision >= told.Revision) { return before; }
            if (Interlocked.CompareExchange(ref known, told, before) == before) { return told; }
        }
    }

    internal GrpcChannel ChannelTo(string address) => channels.GetOrAdd(address, one => new(() => dial(one))).Value;

    /// <summary>A node's own drives, for the rest of a request. One that is not in the map any more is not reached.</summary>
    private RemoteDriveAdmin At(PoolDirectory pool, NodeId node, Deadline deadline) => At(pool, node, deadline.Within(options.AdminTime));

    private RemoteDriveAdmin At(PoolDirectory pool, NodeId node, TimeSpan time) =>
        new(
            ChannelTo(pool.Nodes.GetValueOrDefault(node, seeds[0])),
            options with { AdminTime = time, OpenTime = time < options.OpenTime ? time : options.OpenTime });

    /// <summary>The node that serves a drive.</summary>
    /// <returns>Ok; NotFound: all shards' primaries say so; StaleEpoch or Unavailable: nobody can tell now.</returns>
    private async ValueTask<Reply<(RemoteDriveAdmin Admin, DriveInfo Drive)>> FindAsync(
        string name, Deadline deadline, CancellationToken cancellation)
    {
        if (await DirectoryAsync(cancellation) is not { } pool)
        {
            return Reply.Failed<(RemoteDriveAdmin, DriveInfo)>(Status.Unavailable);
        }

        // First where it is, unless it is a clone.
        NodeId first = pool.Primaries[HomeShard.OfName(name, pool.Primaries.Length).Value];
        Status worst = Status.NotFound;
        foreach (NodeId node in pool.Primaries.Distinct().OrderBy(node => node == first ? 0 : 1))
        {
            Reply<DriveInfo> found = await At(pool, node, deadline.Within(options.LookTime)).GetDriveAsync(name, cancellation);
            if (found.IsOk) { return Reply.Ok((At(pool, node, deadline), found.Value)); }
            if (found.Status != Status.NotFound) { worst = found.Status; }
        }

        return worst == Status.NotFound
            ? await FindInListsAsync(pool, name, deadline, cancellation)
            : Reply.Failed<(RemoteDriveAdmin, DriveInfo)>(worst);
    }

    /// <summary>A drive that no node knows may live in a shard that was changing hands: there is none only if each shard's primary says
    /// so while it serves it.</summary>
    private async ValueTask<Reply<(RemoteDriveAdmin Admin, DriveInfo Drive)>> FindInListsAsync(
        PoolDirectory pool, string name, Deadline deadline, CancellationToken cancellation)
    {
        Dictionary<uint, IReadOnlyList<DriveInfo>> byShard = [];
        if (!await TryListAsync(pool, byShard, deadline, cancellation)) { return Reply.Failed<(RemoteDriveAdmin, DriveInfo)>(Status.Unavailable); }
        DriveInfo? found = byShard.Values.SelectMany(static some => some).FirstOrDefault(drive => drive.Name == name);
        return found is null
            ? Reply.Failed<(RemoteDriveAdmin, DriveInfo)>(Status.NotFound)
            : Reply.Ok((At(pool, pool.Primaries[HomeShard.Of(found.Id, pool.Primaries.Length).Value], deadline), found));
    }

    /// <summary>Takes down the drives of each shard that is served where it is asked for; false: of some it is not known.</summary>
    private async ValueTask<bool> TryListAsync(
        PoolDirectory pool, Dictionary<uint, IReadOnlyList<DriveInfo>> byShard, Deadline deadline, CancellationToken cancellation)
    {
        foreach (NodeId node in pool.Primaries.Distinct())
        {
            Reply<ServedDrives> some = await At(pool, node, deadline.Within(options.LookTime)).ListServedAsync(cancellation);
            if (!some.IsOk) { continue; }
            foreach (uint shard in some.Value.Shards)
            {
                byShard[shard] = [.. some.Value.Drives.Where(drive => HomeShard.Of(drive.Id, pool.Primaries.Length).Value == shard)];
            }
        }

        return byShard.Count >= pool.Primaries.Length;
    }

    private async ValueTask<Status> AtDriveAsync(
        string name, Func<RemoteDriveAdmin, Deadline, ValueTask<Status>> ask, CancellationToken cancellation)
    {
        Reply<bool> reply = await AtDriveAsync(
            name,
            async (admin, deadline) => await ask(admin, deadline) is var status && status == Status.Ok ? Reply.Ok(true) : Reply.Failed<bool>(status),
            cancellation);
        return reply.Status;
    }

    private ValueTask<Reply<T>> AtDriveAsync<T>(
        string name, Func<RemoteDriveAdmin, Deadline, ValueTask<Reply<T>>> ask, CancellationToken cancellation) => RepeatAsync(
        async deadline =>
        {
            Reply<(RemoteDriveAdmin Admin, DriveInfo Drive)> found = await FindAsync(name, deadline, cancellation);
            if (!found.IsOk) { return Reply.Failed<T>(found.Status); }
            Reply<T> reply = await ask(found.Value.Admin, deadline);
            if (reply.Status != Status.NotFound) { return reply; }

            // Something of the drive is not there; or the drive is not there any more, and elsewhere.
            Reply<(RemoteDriveAdmin Admin, DriveInfo Drive)> again = await FindAsync(name, deadline, cancellation);
            bool isElsewhere = again.IsOk && again.Value.Admin.Channel != found.Value.Admin.Channel;
            return !again.IsOk ? Reply.Failed<T>(again.Status) : isElsewhere ? Reply.Failed<T>(Status.Busy) : reply;
        },
        cancellation);

    /// <summary>Asks until the answer is one, or the time is up.</summary>
    private async ValueTask<Reply<T>> RepeatAsync<T>(Func<Deadline, ValueTask<Reply<T>>> ask, CancellationToken cancellation)
    {
        Deadline deadline = Deadline.After(options.AdminTime, options.AwakeClock);
        Deadline looking = Deadline.After(deadline.Within(options.OpenTime), options.AwakeClock);
        Pauses pauses = new(options);
        while (true)
        {
            Reply<T> reply = await ask(deadline);
            if (reply.Status is not (Status.StaleEpoch or Status.Busy or Status.Unavailable)) { return reply; }
            if (looking.HasPassed) { return Reply.Failed<T>(reply.Status == Status.Busy ? Status.Busy : Status.Unavailable); }
            await pauses.NextAsync(cancellation);
        }
    }
}
