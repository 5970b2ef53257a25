using System.Runtime.Versioning;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Maintenance;
using KvFs.Node.Storage;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Gives back the space of what this node has left of shards that have moved on from it, and of drives that were deleted while it
/// was away.</summary>
/// <remarks>
/// One thread runs it. Nothing goes because a map or a list fails to mention it: the primary has to say that the pool has all copies without
/// this one, or that the drive is deleted, twice, with a time between. In order, of a shard: (1) its log and records, so that nobody takes this
/// copy for one that could be begun from; (2) once that is on disk, its blocks. A crash in between leaves what the next round finds. A
/// drive of which bad blocks are kept stays, for a person to look at.
/// </remarks>
[SupportedOSPlatform("linux")]
internal sealed partial class LeftoverRemover(
    StorageNode storage, ReplicationDriver driver, LeftoverService own, PeerChannels channels, int shardCount, ILogger logger)
{
    /// <summary>Blocks that are dropped at once.</summary>
    private const int DroppedAtOnce = 256;

    private static readonly TimeSpan s_askTime = TimeSpan.FromSeconds(10);

    private readonly BlockStore blocks = storage.Blocks;
    private readonly TimeProvider clock = storage.Options.Clock;

    /// <summary>What was found to be of no use, when for the first time.</summary>
    private readonly Dictionary<ShardId, long> uselessShards = [];
    private readonly Dictionary<DriveId, long> uselessDrives = [];

    /// <summary>Shards of which nothing is here, with the epoch in which that was so.</summary>
    private readonly Dictionary<ShardId, Epoch> cleared = [];
    private long removed;

    /// <summary>Shards and drives that were removed since the start.</summary>
    public long Removed => Volatile.Read(ref removed);

    /// <summary>Does a round.</summary>
    /// <returns>False: there is nothing to do before time has gone by.</returns>
    public bool Run(CancellationToken stop)
    {
        Pace pace = storage.PaceUntil(stop);
        (DriveId Drive, int Spread)[] folders = [.. blocks.ListSpreads()];
        HashSet<DriveId> withRecords = [.. ShardRecords.Drives(storage.Store)];
        Dictionary<ShardId, Epoch> strange = driver.Strange().ToDictionary(static one => one.Shard, static one => one.Epoch);
        List<ShardId> shards = [.. strange.Keys.Where(shard => cleared.GetValueOrDefault(shard) != strange[shard])];
        shards.RemoveAll(shard =>
        {
            if (HasAnything(shard, strange, folders, withRecords)) { return false; }
            cleared[shard] = strange[shard];
            return true;
        });
        HashSet<ShardId> vouched = [];
        HashSet<DriveId> gone = [];
        Ask(shards, strange, [.. folders.Select(static one => one.Drive)], vouched, gone);
        foreach (ShardId shard in IsDue(uselessShards, vouched))
        {
            if (stop.IsCancellationRequested) { return false; }
            RemoveShard(shard, folders, pace, stop);
        }

        foreach (DriveId drive in IsDue(uselessDrives, gone))
        {
            if (stop.IsCancellationRequested) { return false; }
            RemoveDrive(drive);
            pace.Rest();
        }

        return false;
    }

    /// <summary>Those that were of no use for long enough, each time that was asked.</summary>
    private List<T> IsDue<T>(Dictionary<T, long> since, HashSet<T> now)
        where T : notnull
    {
        foreach (T one in since.Keys.Where(one => !now.Contains(one)).ToArray()) { since.Remove(one); }
        List<T> due = [.. since.Where(one => clock.GetElapsedTime(one.Value) >= storage.Options.Scrub.LeftoverAge).Select(static one => one.Key)];
        foreach (T one in now) { since.TryAdd(one, clock.GetTimestamp()); }
        return due;
    }

    private bool HasAnything(
        ShardId shard, Dictionary<ShardId, Epoch> strange, (DriveId Drive, int Spread)[] folders, HashSet<DriveId> withRecords)
    {
        if (new ReplicaLog(storage.Store, shard, shardCount).IsThere()) { return true; }
        if (withRecords.Any(drive => HomeShard.Of(drive, shardCount) == shard)) { return true; }
        foreach ((DriveId Drive, int Spread) folder in folders)
        {
            ShardId[] its = [.. ShardOfBlock.ShardsOf(folder.Drive, folder.Spread, shardCount)];
            if (its.Contains(shard) && BlocksOf(folder, shard).Any()) { return true; }

            // A folder without blocks goes with its home shard.
            if (its[0] == shard && its.All(strange.ContainsKey) && IsEmpty(folder.Drive)) { return true; }
        }

        return false;
    }

    private bool IsEmpty(DriveId drive)
    {
        using BlockCursor cursor = blocks.OpenBlockCursor(drive);
        return !cursor.MoveNext();
    }

    private IEnumerable<BlockId> BlocksOf((DriveId Drive, int Spread) folder, ShardId shard)
    {
        using BlockCursor cursor = blocks.OpenBlockCursor(folder.Drive);
        while (cursor.MoveNext())
        {
            if (ShardOfBlock.Of(cursor.Name, folder.Spread, shardCount) == shard) { yield return cursor.Name.Id; }
        }
    }

    /// <summary>Asks the primaries of all of it.</summary>
    private void Ask(
        List<ShardId> shards, Dictionary<ShardId, Epoch> epochs, DriveId[] drives, HashSet<ShardId> vouched, HashSet<DriveId> gone)
    {
        foreach (IGrouping<NodeId?, ShardId> some in shards.GroupBy(driver.PrimaryOf))
        {
            V1.FindLeftoversRequest request = new();
            request.Shards.AddRange(some.Select(static shard => (uint)shard.Value));
            request.Epochs.AddRange(some.Select(shard => epochs[shard].Value));
            vouched.UnionWith(Ask(some.Key, request).Shards.Select(WireReplication.ToShard));
        }

        foreach (IGrouping<NodeId?, DriveId> all in drives.GroupBy(drive => driver.PrimaryOf(HomeShard.Of(drive, shardCount))))
        {
            foreach (DriveId[] some in all.Chunk(LeftoverService.MaxDrives))
            {
                V1.FindLeftoversRequest request = new();
                request.Drives.AddRange(some.Select(static drive => drive.ToWire()));
                gone.UnionWith(Ask(all.Key, request).Drives
                    .Where(static drive => drive.Length == DriveId.Size).Select(static drive => DriveId.Read(drive.Span)));
            }
        }

        vouched.IntersectWith(shards);
        gone.IntersectWith(drives);
    }

    /// <summary>Asks one node, on the loop's own thread.</summary>
    private V1.FindLeftoversReply Ask(NodeId? node, V1.FindLeftoversRequest request)
    {
        request.Node = driver.Process.Node.Value;
        if (node == driver.Process.Node) { return own.Find(request); }
        V1.FindLeftoversReply reply = new();
        AskAsync().Wait(CancellationToken.None);
        return reply;

        async Task AskAsync()
        {
            try
            {
                if (node is not { } other || channels.Find(other) is not { } channel) { return; }
                reply = await channel.UnaryAsync(BlockCopyMethods.FindLeftovers, request, new() { Timeout = s_askTime }, CancellationToken.None);
            }
            catch (Exception e) when (e is GrpcException or ObjectDisposedException)
            {
                // It is away, does not know the question yet, or this node stops: what nobody vouches for stays.
            }
        }
    }

    private void RemoveShard(ShardId shard, (DriveId Drive, int Spread)[] folders, Pace pace, CancellationToken stop)
    {
        (DriveId Drive, int Spread)[] its = [.. folders.Where(one => ShardOfBlock.ShardsOf(one.Drive, one.Spread, shardCount).Contains(shard))];
        if (its.Any(one => IsKeptForPerson(one.Drive)) || !driver.BeginForgetting(shard)) { return; }
        try
        {
            if (storage.Store.SyncLog() != Status.Ok) { return; }
            foreach ((DriveId drive, int spread) in its)
            {
                if (stop.IsCancellationRequested) { return; }
                bool isWhole = ShardOfBlock.ShardsOf(drive, spread, shardCount).All(one => one == shard || !driver.IsMemberOf(one));
                bool isRemoved = isWhole && !BlocksElsewhere(drive, spread, shard)
                    ? IsDone(drive, blocks.DeleteOwnCopy(drive))
                    : DropBlocks((drive, spread), shard, pace);
                if (!isRemoved) { return; }
                pace.Rest();
            }

            uselessShards.Remove(shard);
            Interlocked.Increment(ref removed);
            LogShardRemoved(logger, shard, its.Length);
        }
        finally
        {
            driver.EndForgetting(shard);
        }
    }

    /// <summary>Whether there are blocks of other shards in a drive's folder.</summary>
    private bool BlocksElsewhere(DriveId drive, int spread, ShardId shard)
    {
        using BlockCursor cursor = blocks.OpenBlockCursor(drive);
        while (cursor.MoveNext())
        {
            if (ShardOfBlock.Of(cursor.Name, spread, shardCount) != shard) { return true; }
        }

        return false;
    }

    private bool DropBlocks((DriveId Drive, int Spread) folder, ShardId shard, Pace pace)
    {
        foreach (BlockId[] some in BlocksOf(folder, shard).ToArray().Chunk(DroppedAtOnce))
        {
            Status status = blocks.DropOwnCopies(folder.Drive, some);
            if (status == Status.NotFound && blocks.OpenDrive(folder.Drive).IsOk) { status = blocks.DropOwnCopies(folder.Drive, some); }
            if (!IsDone(folder.Drive, status == Status.Ok ? StorageResult.Ok : new(status, status.ToString()))) { return false; }
            pace.Rest();
        }

        return true;
    }

    private void RemoveDrive(DriveId drive)
    {
        uselessDrives.Remove(drive);
        if (IsKeptForPerson(drive)) { return; }

        // Its records, if they are still here, are a strange shard's: they go with that.
        StorageResult result = blocks.DeleteOwnCopy(drive);
        if (result.Status == Status.NotFound) { return; }
        if (!IsDone(drive, result)) { return; }
        Interlocked.Increment(ref removed);
        LogDriveRemoved(logger, drive);
    }

    private bool IsKeptForPerson(DriveId drive)
    {
        using QuarantineCursor kept = blocks.OpenQuarantineCursor(drive);
        if (!kept.MoveNext()) { return false; }
        LogKept(logger, drive);
        return true;
    }

    private bool IsDone(DriveId drive, StorageResult result)
    {
        if (!result.IsOk) { LogNotRemoved(logger, drive, result.Message); }
        return result.IsOk;
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Removed what was left of shard {Shard}, with blocks of {Count} drives: other nodes have all its copies.")]
    private static partial void LogShardRemoved(ILogger logger, ShardId shard, int count);

    [LoggerMessage(Level = LogLevel.Information, Message = "Removed what was left of drive {Drive}, which was deleted.")]
    private static partial void LogDriveRemoved(ILogger logger, DriveId drive);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "What is left of drive {Drive} is of no use to the pool, but bad blocks of it are kept here: it stays until they are released.")]
    private static partial void LogKept(ILogger logger, DriveId drive);

    [LoggerMessage(Level = LogLevel.Warning, Message = "What is left of drive {Drive} could not be removed: {Why}. The next round tries again.")]
    private static partial void LogNotRemoved(ILogger logger, DriveId drive, string why);
}
