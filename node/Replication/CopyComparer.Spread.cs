using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Drives;
using KvFs.Node.Maintenance;
using KvFs.Node.Storage;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <remarks>Of a drive whose blocks are spread, the records are here, and the blocks are with other primaries, which have no records of it. So
/// this node has each copy of each shard list what it has of some thousands of blocks, has those that it lacks named to it, and compares what
/// the copies of one shard have with one another.</remarks>
internal sealed partial class CopyComparer
{
    private void CompareSpread(HostedDrive drive, Pace pace, CancellationToken stop)
    {
        ShardId home = HomeShard.Of(drive.Id, shardCount);
        int spread = drive.State.Policy.Spread;
        ulong first = 0;
        bool isEnd = false;
        while (!isEnd && !stop.IsCancellationRequested && driver.ReignHere(home) is { } epoch)
        {
            ulong last = ReadLive(drive.Id, first, spread, out Dictionary<ShardId, SortedSet<ulong>> live);
            isEnd = last == ulong.MaxValue;
            foreach (ShardId shard in ShardOfBlock.ShardsOf(drive.Id, spread, shardCount))
            {
                V1.CompareRequest request = new()
                {
                    Shard = home.Value,
                    Epoch = epoch.Value,
                    Owner = drive.Id.ToWire(),
                    First = first,
                    Last = last,
                    Listed = true,
                    Spread = (uint)spread,
                    OfShard = shard.Value,
                };
                SortedDictionary<ulong, ulong> seen = [];
                foreach (NodeId node in driver.InSyncOf(shard))
                {
                    if (stop.IsCancellationRequested) { return; }

                    // Waits on the loop's own thread; it ends by itself when it is to stop.
                    CompareAsync(drive, node, request, live.GetValueOrDefault(shard) ?? [], seen, stop).Wait(CancellationToken.None);
                }

                pace.Rest();
            }

            first = last + 1;
        }
    }

    /// <summary>The next blocks that records refer to, by shard.</summary>
    /// <returns>The last id that was looked at.</returns>
    private ulong ReadLive(DriveId drive, ulong first, int spread, out Dictionary<ShardId, SortedSet<ulong>> live)
    {
        live = [];
        int count = 0;
        StoredDriveView view = new(storage.Host.Records, [new(drive, CowNumber.Head)]);
        RecordKey end = RecordKey.Single(RecordKind.BlockLive);
        end.ToPrefixEnd();
        using DriveCursor cursor = view.Walk(RecordKey.Numbered(RecordKind.BlockLive, first), end);
        while (cursor.MoveNext())
        {
            ulong id = KnownBlocks.NumberOf(cursor.Key);
            ShardId shard = ShardOfBlock.Of(new(drive, new(id)), spread, shardCount);
            if (!live.TryGetValue(shard, out SortedSet<ulong>? ids)) { live[shard] = ids = []; }
            ids.Add(id);
            if (++count == RangeBlocks) { return id; }
        }

        return ulong.MaxValue;
    }

    /// <param name="drive">Whose blocks.</param>
    /// <param name="node">Whose copies.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="live">What records refer to.</param>
    /// <param name="seen">What the copies before have; gets what this one has.</param>
    /// <param name="stop">Ends it early.</param>
    private Task CompareAsync(
        HostedDrive drive, NodeId node, V1.CompareRequest request, SortedSet<ulong> live, SortedDictionary<ulong, ulong> seen,
        CancellationToken stop) => TryAsync(drive, async () =>
    {
        SortedDictionary<ulong, ulong> theirs = [];
        if (node == driver.Process.Node) { ListOwn(drive.Id, request, theirs); }
        else if (channels.Find(node) is not { } channel || await AskAsync(channel, request, theirs, stop) is null) { return; }
        foreach ((ulong id, ulong hash) in theirs)
        {
            if (seen.TryAdd(id, hash) || seen[id] == hash) { continue; }
            differing++;
            LogSpreadDiffers(logger, new(drive.Id, new(id)), node);
        }

        // What died since was dropped there, too.
        List<ulong> missing = [.. live.Where(id => !theirs.ContainsKey(id) && blocks.IsReferredTo(new(drive.Id, new(id))))];
        if (missing.Count > 0) { await NameAsync(drive, node, request, missing, stop); }
        SeeToSurplus(drive, node, theirs.Keys.Where(id => !live.Contains(id)));
    });

    private void ListOwn(DriveId drive, V1.CompareRequest request, SortedDictionary<ulong, ulong> hashes)
    {
        using BlockCursor cursor = blocks.OpenBlockCursor(drive, new(request.First));
        while (cursor.MoveNext() && cursor.Name.Id.Value <= request.Last)
        {
            bool isOfShard = ShardOfBlock.Of(cursor.Name, (int)request.Spread, shardCount).Value == request.OfShard;
            if (isOfShard && cursor.Entry is { } entry) { hashes.Add(cursor.Name.Id.Value, BlockSetDigest.HashOf(cursor.Name.Id, entry)); }
        }
    }

    /// <summary>Has blocks brought that a copy lacks.</summary>
    private async Task NameAsync(HostedDrive drive, NodeId node, V1.CompareRequest request, List<ulong> missing, CancellationToken stop)
    {
        if (node == driver.Process.Node)
        {
            lacking += missing.Count;
            int mended = missing.Count(id => blocks.Mender.MendNamed(new(drive.Id, new(id)), (int)request.Spread) == Status.Ok);
            CountReturned(drive, node, mended);
        }
        else
        {
            V1.MendRequest mend = new() { Shard = request.Shard, Epoch = request.Epoch, Owner = request.Owner, Spread = request.Spread };
            await ReturnAsync(drive, node, mend, missing, stop);
        }

        // What died meanwhile was not there when it was dropped, and may be there now. No id comes to life again.
        TryDrop(drive, [.. blocks.FindUnknown(drive.Id, [.. missing]).Select(static id => new BlockId(id))]);
    }

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Block {Block} has other bytes on node {Node} than on another one, each with right checksums. Both are left alone: look at what "
            + "the block belongs to.")]
    private static partial void LogSpreadDiffers(ILogger logger, BlockName block, NodeId node);
}
