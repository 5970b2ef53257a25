using System.Runtime.Versioning;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Drives;
using KvFs.Node.Maintenance;
using KvFs.Node.Storage;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Compares, for the drives that this node is primary of, which blocks each counted copy has, and has those brought that one
/// lacks.</summary>
/// <remarks>One thread runs it. In each round, drive after drive, some thousands of blocks at a time: (1) what the records refer to and is
/// not here is fetched, and what is here and dead is dropped; (2) each copy tells a digest of the same range of ids; (3) where that differs, it lists what it has. What
/// it lacks counts only if a record refers to it, because then every copy that counts must have it; what it has too much only if its id
/// is neither in use, granted, nor waiting to be dropped: then it is dead, because no id is given twice, and is dropped everywhere. What was
/// never given, or may have been by a copy that was lost, is counted and stays.</remarks>
[SupportedOSPlatform("linux")]
internal sealed partial class CopyComparer(
    StorageNode storage, ReplicationDriver driver, PeerChannels channels, int shardCount, ILogger logger)
{
    /// <summary>Blocks of one digest: what a difference costs to find.</summary>
    private const int RangeBlocks = 4096;

    /// <summary>Blocks that a copy is asked to fetch at once: so many of the largest take some seconds.</summary>
    private const int MendedAtOnce = 16;

    private static readonly TimeSpan s_compareTime = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_mendTime = TimeSpan.FromMinutes(5);

    private readonly BlockStore blocks = storage.Blocks;
    private readonly TimeProvider clock = storage.Options.Clock;
    private long began = storage.Options.Clock.GetTimestamp();
    private long returnedBlocks;
    private long droppedBlocks;
    private CopyTally last = CopyTally.None;
    private long lacking;
    private long differing;
    private long surplus;
    private long silent;

    /// <summary>What the last whole round found.</summary>
    public CopyTally Last => Volatile.Read(ref last);

    /// <summary>Blocks that copies were given since the start.</summary>
    public long ReturnedBlocks => Volatile.Read(ref returnedBlocks);

    /// <summary>Dead blocks that copies had and were told to drop, since the start.</summary>
    public long DroppedBlocks => Volatile.Read(ref droppedBlocks);

    /// <summary>Does a round, if it is time; the first one comes when that has gone by once.</summary>
    /// <returns>False: there is nothing to do before time has gone by.</returns>
    public bool Run(CancellationToken stop)
    {
        TimeSpan interval = storage.Options.Scrub.CompareInterval;
        if (interval <= TimeSpan.Zero || clock.GetElapsedTime(began) < interval) { return false; }
        began = clock.GetTimestamp();
        CompareAll(storage.PaceUntil(stop), stop);
        return false;
    }

    /// <summary>Does a round.</summary>
    internal void CompareAll(Pace pace, CancellationToken stop)
    {
        lacking = differing = surplus = silent = 0;
        foreach (HostedDrive drive in storage.Host.All)
        {
            if (stop.IsCancellationRequested) { return; }
            if ((drive.State.Policy.Flags & DriveFlags.Deleting) != 0) { continue; }
            try
            {
                if (drive.State.Policy.Spread == 0) { Compare(drive, pace, stop); }
                else { CompareSpread(drive, pace, stop); }
            }
            catch (RecordCorruptException corrupt)
            {
                drive.OnCorrupt(corrupt);
            }
            catch (StorageException failed)
            {
                LogNotCompared(logger, drive.State.Policy.Name, failed.Message);
            }
        }

        if (stop.IsCancellationRequested) { return; }
        Volatile.Write(ref last, new(lacking, differing, surplus, silent, clock.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0));
    }

    private void Compare(HostedDrive drive, Pace pace, CancellationToken stop)
    {
        ShardId shard = HomeShard.Of(drive.Id, shardCount);
        ulong first = 0;
        bool isEnd = false;
        while (!isEnd && !stop.IsCancellationRequested && driver.CopiesOf(shard) is { } copies)
        {
            BlockRange range = ReadRange(drive.Id, first);
            isEnd = range.Last == ulong.MaxValue;
            FetchOwn(drive, range);
            if (Unused(drive.Id, range) is { Count: > 0 } unused) { SeeToSurplus(drive, driver.Process.Node, unused); }
            foreach (InSyncReplica copy in copies.Counted)
            {
                // Waits on the loop's own thread; it ends by itself when it is to stop.
                CompareAsync(drive, shard, copies.Epoch, copy.Node, range, stop).Wait(CancellationToken.None);
            }

            first = range.Last + 1;
            pace.Rest();
        }
    }

    /// <summary>The next blocks that are here.</summary>
    private BlockRange ReadRange(DriveId drive, ulong first)
    {
        SortedDictionary<ulong, ulong> hashes = [];
        BlockSetDigest digest = default;
        using BlockCursor cursor = blocks.OpenBlockCursor(drive, new(first));
        while (cursor.MoveNext())
        {
            if (cursor.Entry is not { } entry) { continue; }
            ulong hash = BlockSetDigest.HashOf(cursor.Name.Id, entry);
            hashes.Add(cursor.Name.Id.Value, hash);
            digest = digest.With(hash);
            if (hashes.Count == RangeBlocks) { return new(first, cursor.Name.Id.Value, hashes, digest); }
        }

        return new(first, ulong.MaxValue, hashes, digest);
    }

    /// <summary>Fetches what records refer to and is not here, or has a damaged entry.</summary>
    private void FetchOwn(HostedDrive drive, BlockRange range)
    {
        List<BlockName> missing = [];
        StoredDriveView view = new(storage.Host.Records, [new(drive.Id, CowNumber.Head)]);
        RecordKey end = RecordKey.Single(RecordKind.BlockLive);
        end.ToPrefixEnd();
        using (DriveCursor live = view.Walk(RecordKey.Numbered(RecordKind.BlockLive, range.First), end))
        {
            while (live.MoveNext() && KnownBlocks.NumberOf(live.Key) is var id && id <= range.Last)
            {
                if (!range.Hashes.ContainsKey(id)) { missing.Add(new(drive.Id, new(id))); }
            }
        }

        foreach (BlockName block in missing)
        {
            if (blocks.Mender.Mend(block) == Status.Busy) { blocks.Mender.Suspect(block); }
        }
    }

    /// <summary>The blocks that are here and that no record refers to.</summary>
    private List<ulong> Unused(DriveId drive, BlockRange range) => [.. range.Hashes.Keys.Where(id => !blocks.IsReferredTo(new(drive, new(id))))];

    private Task CompareAsync(
        HostedDrive drive, ShardId shard, Epoch epoch, NodeId node, BlockRange range, CancellationToken stop) => TryAsync(drive, async () =>
    {
        if (channels.Find(node) is not { } channel) { return; }
        V1.CompareRequest request = new()
        {
            Shard = shard.Value, Epoch = epoch.Value, Owner = drive.Id.ToWire(), First = range.First, Last = range.Last,
        };
        if (await AskAsync(channel, request, null, stop) is not { } digest || digest == range.Digest) { return; }
        request.Listed = true;
        SortedDictionary<ulong, ulong> theirs = [];
        if (await AskAsync(channel, request, theirs, stop) is null) { return; }
        V1.MendRequest mend = new() { Shard = shard.Value, Epoch = epoch.Value, Owner = drive.Id.ToWire() };
        await ReturnAsync(drive, node, mend, Lacking(drive.Id, range, theirs, node), stop);
        SeeToSurplus(drive, node, theirs.Keys.Where(id => !range.Hashes.ContainsKey(id)));
    });

    /// <summary>Compares with one node; what goes wrong is counted or told, and does not end the round.</summary>
    private async Task TryAsync(HostedDrive drive, Func<Task> compare)
    {
        try
        {
            await compare();
        }
        catch (Exception e) when (e is GrpcException or OperationCanceledException or ObjectDisposedException)
        {
            // It is away, or one of the two stops: the next round asks again.
            silent++;
        }
        catch (RecordCorruptException corrupt)
        {
            drive.OnCorrupt(corrupt);
        }
        catch (StorageException failed)
        {
            LogNotCompared(logger, drive.State.Policy.Name, failed.Message);
        }
    }

    /// <summary>Asks a copy what it has of a range.</summary>
    /// <returns>How much; null: it is no copy for this primary any more.</returns>
    private static async Task<BlockSetDigest?> AskAsync(
        GrpcChannel channel, V1.CompareRequest request, SortedDictionary<ulong, ulong>? hashes, CancellationToken stop)
    {
        using GrpcCall<V1.CompareRequest, V1.ComparePart> call = channel.ServerStreaming(
            BlockCopyMethods.Compare, request, new() { Timeout = s_compareTime }, stop);
        BlockSetDigest? digest = null;
        await foreach (V1.ComparePart part in call.ReadAllAsync(stop))
        {
            if (part.Status != V1.Status.Ok || part.Ids.Count != part.Hashes.Count) { return null; }
            digest = new(part.Count, part.Sum);
            for (int at = 0; at < part.Ids.Count; at++) { hashes?.TryAdd(part.Ids[at], part.Hashes[at]); }
        }

        return digest;
    }

    /// <summary>What a copy must have and has not.</summary>
    private List<ulong> Lacking(DriveId drive, BlockRange range, SortedDictionary<ulong, ulong> theirs, NodeId node)
    {
        List<ulong> found = [];
        foreach ((ulong id, ulong hash) in range.Hashes)
        {
            BlockName block = new(drive, new(id));
            if (!theirs.TryGetValue(id, out ulong other))
            {
                if (blocks.IsReferredTo(block)) { found.Add(id); }
            }
            else if (other != hash)
            {
                differing++;
                LogDiffers(logger, block, node);
            }
        }

        return found;
    }

    private async Task ReturnAsync(HostedDrive drive, NodeId node, V1.MendRequest request, List<ulong> ids, CancellationToken stop)
    {
        if (ids.Count == 0) { return; }
        lacking += ids.Count;
        long returned = 0;
        GrpcChannel channel = channels.Find(node)!;
        foreach (ulong[] some in ids.Chunk(MendedAtOnce))
        {
            request.Ids.Clear();
            request.Ids.AddRange(some);
            V1.CopyReply reply = await channel.UnaryAsync(BlockCopyMethods.Mend, request, new() { Timeout = s_mendTime }, stop);
            if (reply.Status == V1.Status.Ok) { returned += some.Length; }
            else { LogLacks(logger, node, some.Length, drive.State.Policy.Name, reply.Status.ToCore()); }
        }

        CountReturned(drive, node, returned);
    }

    private void CountReturned(HostedDrive drive, NodeId node, long returned)
    {
        if (returned == 0) { return; }
        lacking -= returned;
        Interlocked.Add(ref returnedBlocks, returned);
        LogReturned(logger, node, returned, drive.State.Policy.Name);
    }

    /// <summary>Drops what a copy has and is dead; what became of each id is looked at as of one moment.</summary>
    private void SeeToSurplus(HostedDrive drive, NodeId node, IEnumerable<ulong> candidates)
    {
        ulong issued;
        using (drive.Shard.Enter())
        {
            // What was issued last must have its record, or it looks dead.
            if (drive.Shard.Settle() != Status.Ok) { return; }
            issued = drive.Counters.Next.Block;
        }

        List<ulong> found = blocks.FindUnknown(drive.Id, [.. candidates]);
        if (found.Count == 0) { return; }
        BlockId[] dead = [.. found.Where(id => id < issued).Select(static id => new BlockId(id))];
        int dropped = TryDrop(drive, dead) ? dead.Length : 0;
        if (dropped > 0)
        {
            Interlocked.Add(ref droppedBlocks, dropped);
            LogDropped(logger, node, dropped, drive.State.Policy.Name);
        }

        if (dropped == found.Count) { return; }
        surplus += found.Count - dropped;
        LogSurplus(logger, node, found.Count - dropped, drive.State.Policy.Name);
    }

    /// <summary>Drops blocks everywhere that are dead by this node's records. That they died must be durable, and the records must have been
    /// the newest when they were read: the lease is looked at behind that.</summary>
    private bool TryDrop(HostedDrive drive, BlockId[] dead)
    {
        ShardId home = HomeShard.Of(drive.Id, shardCount);
        return dead.Length > 0
            && !driver.HasLoss(home)
            && drive.Shard.Sync() == Status.Ok
            && driver.HasCommitted(home)
            && blocks.DropBlocks(drive.Id, dead) == Status.Ok;
    }

    /// <summary>Blocks that are here.</summary>
    /// <param name="First">The first id of the range.</param>
    /// <param name="Last">The last one.</param>
    /// <param name="Hashes">Of each that is here with a whole index entry.</param>
    /// <param name="Digest">Of all of them.</param>
    private sealed record BlockRange(ulong First, ulong Last, SortedDictionary<ulong, ulong> Hashes, BlockSetDigest Digest);

    [LoggerMessage(Level = LogLevel.Information, Message = "Node {Node} lacked {Count} blocks of drive '{Drive}', and has them now.")]
    private static partial void LogReturned(ILogger logger, NodeId node, long count, string drive);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Node {Node} lacks some of {Count} blocks of drive '{Drive}', and could not fetch them ({Status}). The next comparison tries again.")]
    private static partial void LogLacks(ILogger logger, NodeId node, int count, string drive, Status status);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Block {Block} has other bytes on node {Node} than here, each with right checksums. Both are left alone: drain that node, and "
            + "look at what the block belongs to.")]
    private static partial void LogDiffers(ILogger logger, BlockName block, NodeId node);

    [LoggerMessage(Level = LogLevel.Information, Message = "Node {Node} had {Count} dead blocks of drive '{Drive}', and was told to drop them.")]
    private static partial void LogDropped(ILogger logger, NodeId node, int count, string drive);

    [LoggerMessage(Level = LogLevel.Information, Message = "Node {Node} has {Count} blocks of drive '{Drive}' that nothing refers to. They are left there.")]
    private static partial void LogSurplus(ILogger logger, NodeId node, long count, string drive);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The copies of drive '{Drive}' were not compared: {Why}")]
    private static partial void LogNotCompared(ILogger logger, string drive, string why);
}
