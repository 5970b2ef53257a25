using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Blocks of drives whose blocks are spread: they lie on the shards that <see cref="ShardOfBlock"/> says, whose primaries keep the
/// copies.</summary>
/// <remarks>In order: (1) the primary of the owner's home shard sends a block to its key primary; (2) that one writes it, and brings it to the
/// copies of its shard; (3) each syncs its index, too: of a block on another shard than its drive, no log entry that refers to it comes into
/// the same journal, and no commit asks under which primary it was stored; (4) only then it is answered, and a transaction may name it. A key primary that is gone is waited for, until the pool
/// map names another one, and is sent the block anew: who has it already says so.</remarks>
internal sealed partial class BlockCopies
{
    /// <summary>How long a block waits for a key primary that can keep it. A takeover takes some seconds.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    /// <summary>A key primary gives up within it if the copies that count do not answer, before it is asked once more.</summary>
    private static readonly TimeSpan s_keepTime = TimeSpan.FromSeconds(8);

    /// <summary>A key primary that does not answer within it is sent the block again: it may wait that long for a copy that is silent.</summary>
    private static readonly TimeSpan s_keyTime = TimeSpan.FromSeconds(10);

    public Status StoreSpread(BlockName block, int spread, ReadOnlySpan<byte> content, SpaceUse use)
    {
        ShardId home = HomeShard.Of(block.Owner, shardCount);
        ShardId shard = ShardOfBlock.Of(block, spread, shardCount);
        TimeSpan began = SuspendClock.Now;
        TimeSpan pause = s_pause;
        while (driver.Leads(home))
        {
            Status status = driver.PrimaryOf(shard) is not { } primary ? Status.Busy
                : primary == driver.Process.Node ? KeepAsPrimary(block, spread, content, use)
                : SendToPrimary(primary, home, shard, HeadOf(shard, default, block, spread, content.Length), content);
            if (status is not (Status.Busy or Status.StaleEpoch or Status.Corrupt)) { return status; }
            if (SuspendClock.Now - began > s_patience) { return Status.Busy; }
            driver.AwaitView(pause);
            if (pause < s_longestPause) { pause *= 2; }
        }

        return Status.StaleEpoch;
    }

    /// <summary>Keeps a block as the primary of its shard: on disk at all copies that count when it returns Ok.</summary>
    /// <returns>StaleEpoch: this node is not the primary; Busy: there are not enough copies. Else as <see cref="StoreSpread"/>.</returns>
    public Status KeepAsPrimary(BlockName block, int spread, ReadOnlySpan<byte> content, SpaceUse use)
    {
        ShardId shard = ShardOfBlock.Of(block, spread, shardCount);
        if (!driver.Leads(shard)) { return Status.StaleEpoch; }
        if (!driver.CanKeep(shard)) { return Status.Busy; }
        Status status = blocks.WriteOwnCopy(block, content, use);
        if (status == Status.NotFound)
        {
            StorageResult opened = blocks.OpenOrCreateDrive(block.Owner, spread);
            if (!opened.IsOk) { return opened.Status; }
            status = blocks.WriteOwnCopy(block, content, use);
        }

        if (status == Status.Ok) { status = Store(block, shard, spread, content, () => SyncOwn(block.Owner, spread)); }
        if (status != Status.IoError) { return status; }

        // Another node is to be the primary: this one keeps nothing any more.
        driver.OnBlocksFailed();
        return Status.StaleEpoch;
    }

    /// <summary>Makes blocks durable here whose write returned before; those of a drive that is spread so that anything anywhere may refer to
    /// them.</summary>
    public Status SyncOwn(DriveId owner, int spread)
    {
        Status status = blocks.SyncBlocks(owner);
        return status == Status.Ok && spread != 0 ? blocks.SyncIndex() : status;
    }

    /// <returns>What the key primary answered; Busy: it did not, or the map says that it is none any more.</returns>
    private Status SendToPrimary(NodeId primary, ShardId home, ShardId shard, V1.StoreHead head, ReadOnlySpan<byte> content)
    {
        head.ToPrimary = true;
        using CancellationTokenSource unwanted = new();
        long way = links.DirectNumber(primary);
        Task<Status> answer = way == 0
            ? SendAsync(primary, head, content.ToArray(), s_keyTime, unwanted.Token)
            : SendDirectly(primary, head, content, Crc32C.Compute(content), s_keyTime, unwanted.Token);
        Status outcome = Status.Busy;
        Await(TakeAsync(), () =>
        {
            bool isLost = way != 0 && links.DirectNumber(primary) != way;
            if (isLost || driver.PrimaryOf(shard) != primary || !driver.Leads(home)) { unwanted.Cancel(); }
        });
        return outcome;

        async Task TakeAsync() => outcome = await answer;
    }

    /// <summary>Has blocks removed wherever they may be: nobody is waited for longer than a call takes.</summary>
    private void DropSpread(V1.DropRequest order, DriveId owner, int spread, ReadOnlySpan<BlockId> ids)
    {
        Dictionary<NodeId, V1.DropRequest> orders = [];
        Dictionary<ShardId, IReadOnlyList<NodeId>> holders = [];
        foreach (BlockId id in ids)
        {
            ShardId shard = ShardOfBlock.Of(new(owner, id), spread, shardCount);
            if (!holders.TryGetValue(shard, out IReadOnlyList<NodeId>? nodes)) { holders[shard] = nodes = driver.HoldersOf(shard); }
            foreach (NodeId node in nodes)
            {
                if (!orders.TryGetValue(node, out V1.DropRequest? one)) { orders[node] = one = order.Clone(); }
                one.Ids.Add(id.Value);
            }
        }

        // The whole drive: also what a shard left behind where it was.
        if (ids.IsEmpty)
        {
            foreach (NodeId node in driver.Others()) { orders[node] = order; }
        }

        // Who is away would be waited for in vain.
        Task.WaitAll([.. orders.Where(one => driver.PresenceOf(one.Key) == NodePresence.Here).Select(one => DropAsync(one.Key, one.Value))]);
    }
}
