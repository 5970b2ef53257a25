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

    /// <summary>Blocks of one step of a walk.</summary>
    private const int WalkedAtOnce = 4096;

    private static readonly TimeSpan s_askTime = TimeSpan.FromSeconds(10);

    private readonly BlockStore blocks = storage.Blocks;
    private readonly TimeProvider clock = storage.Options.Clock;

    /// <summary>What was found to be of no use, when for the first time.</summary>
    private readonly Dictionary<ShardId, long> uselessShards = [];
    private readonly Dictionary<DriveId, long> uselessDrives = [];

    /// <summary>Shards of which nothing is here, with the epoch in which that was so.</summary>
    private readonly Dictionary<ShardId, Epoch> cleared = [];
    private readonly HashSet<DriveId> told = [];
    private long removed;

    /// <summary>Shards and drives that were removed since the start.</summary>
    public long Removed => Volatile.Read(ref removed);

    /// <summary>Does a round.</summary>
    /// <returns>False: there is nothing to do before time has gone by.</returns>
    public bool Run(CancellationToken stop)
    {
        Pace pace = storage.PaceUntil(stop);
        (DriveId Drive, int Spread)[] folders = [.. blocks.ListSpreads()];
        Dictionary<ShardId, Epoch> strange = driver.Strange().ToDictionary(static one => one.Shard, static one => one.Epoch);
        HashSet<ShardId> looked = [.. strange.Keys.Where(shard => cleared.GetValueOrDefault(shard) != strange[shard])];
        HashSet<DriveId> withRecords = looked.Count == 0 ? [] : [.. ShardRecords.Drives(storage.Store)];
        HashSet<ShardId> left = FindLeft(looked, strange, folders, withRecords, pace, stop);
        if (stop.IsCancellationRequested) { return false; }
        foreach ((ShardId shard, Epoch epoch) in strange)
        {
            if (!left.Contains(shard)) { cleared[shard] = epoch; }
        }

        HashSet<ShardId> vouched = [];
        HashSet<DriveId> gone = [];
        Ask([.. left], strange, [.. folders.Select(static one => one.Drive)], vouched, gone);
        foreach (ShardId shard in IsDue(uselessShards, vouched))
        {
            if (stop.IsCancellationRequested) { return false; }
            RemoveShard(shard, strange[shard], folders, withRecords.Where(drive => HomeShard.Of(drive, shardCount) == shard), pace, stop);
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

    /// <summary>The strange shards of which anything is here; those that were cleared are not looked for again.</summary>
    private HashSet<ShardId> FindLeft(
        HashSet<ShardId> looked,
        Dictionary<ShardId, Epoch> strange,
        (DriveId Drive, int Spread)[] folders,
        HashSet<DriveId> withRecords,
        Pace pace,
        CancellationToken stop)
    {
        HashSet<ShardId> left = [.. looked.Where(shard => new ReplicaLog(storage.Store, shard, shardCount).IsThere())];
        left.UnionWith(withRecords.Select(drive => HomeShard.Of(drive, shardCount)).Where(looked.Contains));
        foreach ((DriveId drive, int spread) in folders)
        {
            if (stop.IsCancellationRequested) { break; }
            ShardId[] its = [.. ShardOfBlock.ShardsOf(drive, spread, shardCount)];
            if (!its.Any(looked.Contains)) { continue; }
            if (spread == 0)
            {
                left.Add(its[0]);
                continue;
            }

            HashSet<ShardId> found = [.. Walk(drive, pace, stop).Select(id => ShardOfBlock.Of(new(drive, id), spread, shardCount))];
            left.UnionWith(found.Where(looked.Contains));

            // A folder without blocks goes with its home shard.
            if (found.Count == 0 && its.All(strange.ContainsKey)) { left.Add(its[0]); }
        }

        return left;
    }

    /// <summary>The blocks of a drive that are here, some thousands at a time.</summary>
    private IEnumerable<BlockId> Walk(DriveId drive, Pace pace, CancellationToken stop)
    {
        List<BlockId> some = [];
        ulong first = 0;
        do
        {
            some.Clear();
            using (BlockCursor cursor = blocks.OpenBlockCursor(drive, new(first)))
            {
                while (some.Count < WalkedAtOnce && cursor.MoveNext()) { some.Add(cursor.Name.Id); }
            }

            foreach (BlockId id in some) { yield return id; }
            if (some.Count > 0) { first = some[^1].Value + 1; }
            pace.Rest();
        }
        while (some.Count == WalkedAtOnce && !stop.IsCancellationRequested);
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

    private void RemoveShard(
        ShardId shard, Epoch epoch, (DriveId Drive, int Spread)[] folders, IEnumerable<DriveId> withRecords, Pace pace, CancellationToken stop)
    {
        (DriveId Drive, int Spread)[] its = [.. folders.Where(one => ShardOfBlock.ShardsOf(one.Drive, one.Spread, shardCount).Contains(shard))];
        if (its.Any(one => IsKeptForPerson(one.Drive))) { return; }

        // What was said at the beginning of the round may be long ago.
        V1.FindLeftoversRequest again = new() { Shards = { shard.Value }, Epochs = { epoch.Value } };
        if (!Ask(driver.PrimaryOf(shard), again).Shards.Contains(shard.Value) || !driver.BeginForgetting(shard, epoch, withRecords)) { return; }
        try
        {
            if (storage.Store.SyncLog() != Status.Ok) { return; }
            foreach ((DriveId drive, int spread) in its)
            {
                if (stop.IsCancellationRequested) { return; }
                bool isRemoved = spread == 0
                    ? IsDone(drive, blocks.DeleteOwnCopy(drive))
                    : DropBlocks(drive, spread, shard, pace, stop) && RemoveIfEmpty(drive, spread);
                if (!isRemoved) { return; }
                pace.Rest();
            }

            uselessShards.Remove(shard);
            Interlocked.Increment(ref removed);
            LogShardRemoved(logger, shard, its.Length);
        }
        finally
        {
            driver.EndForgetting([shard]);
        }
    }

    private bool DropBlocks(DriveId drive, int spread, ShardId shard, Pace pace, CancellationToken stop)
    {
        BlockId[] its = [.. Walk(drive, pace, stop).Where(id => ShardOfBlock.Of(new(drive, id), spread, shardCount) == shard)];
        foreach (BlockId[] some in its.Chunk(DroppedAtOnce))
        {
            if (stop.IsCancellationRequested) { return false; }
            Status status = blocks.DropOwnCopies(drive, some);
            if (!IsDone(drive, status == Status.Ok ? StorageResult.Ok : new(status, status.ToString()))) { return false; }
            pace.Rest();
        }

        return !stop.IsCancellationRequested;
    }

    /// <summary>Removes the folder of a spread drive if this node keeps none of its shards, and no block: it is given none meanwhile.</summary>
    /// <returns>False: it could not.</returns>
    private bool RemoveIfEmpty(DriveId drive, int spread)
    {
        // The one that is being forgotten is kept out already.
        if (driver.TryKeepOut(ShardOfBlock.ShardsOf(drive, spread, shardCount)) is not { } kept) { return true; }
        try
        {
            using (BlockCursor cursor = blocks.OpenBlockCursor(drive))
            {
                if (cursor.MoveNext()) { return true; }
            }

            return IsDone(drive, blocks.DeleteOwnCopy(drive));
        }
        finally
        {
            driver.EndForgetting(kept);
        }
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
        if (told.Add(drive)) { LogKept(logger, drive); }
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

    [LoggerMessage(Level = LogLevel.Warning, Message = "What is left of drive {Drive} could not be removed: {Why}. The next round tries again, or the next start.")]
    private static partial void LogNotRemoved(ILogger logger, DriveId drive, string why);
}
