using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <content>Blocks: a primary brings them to all copies that count, before it answers; who comes back fetches what it lacks before it
/// counts; dead ones are dropped everywhere.</content>
internal sealed partial class SimulatedNode
{
    /// <summary>Which other copies have all blocks of the shards that it is primary of.</summary>
    private CopiedBlocks? copied;

    /// <summary>Stores a block under an id that the session was granted; Busy: it is not this node's to do.</summary>
    public void WriteBlock(ShardId shard, SessionId session, BlockName block, int content, Action<DriveAnswer> answer)
    {
        if (!CanSubmit(shard) || TermOf(shard) is not { } term)
        {
            answer(DriveAnswer.Busy);
            return;
        }

        if (!GrantBlocks.Holds(session, block.Id, new StoredDriveView(disks[shard].Now.Records, [new(block.Owner, CowNumber.Head)])))
        {
            answer(new(Status.SessionExpired));
            return;
        }

        AddBlock(shard, block, content);
        Spread(new(shard, term, block, content, answer));
    }

    /// <summary>Drops blocks here, and has the other copies drop them.</summary>
    public void DropBlocks(ShardId shard, BlockName[] blocks)
    {
        disks[shard].DropBlocks(blocks);
        Reign reign = core!.Find(shard)!.Reign!;
        foreach (NodeId other in reign.Members.Where(node => node != Id))
        {
            world.Network.Send(Id, other, node => node.DropOrdered(shard, reign.Epoch, blocks));
        }
    }

    private void DropOrdered(ShardId shard, Epoch epoch, BlockName[] blocks)
    {
        if (MayCopy(shard, epoch)) { disks[shard].DropBlocks(blocks); }
    }

    /// <summary>Looks which blocks this copy and the others that count have and no record knows, as <c>CopyComparer</c>: they are dead.</summary>
    public void CompareBlocks(ShardId shard)
    {
        Dictionary<DriveId, ulong> issued = served[shard].Drives.ToDictionary(static drive => drive.Id, static drive => drive.IssuedBlocks);
        DropUnknown(shard, issued, [.. disks[shard].Now.Blocks.Keys]);
        foreach (InSyncReplica copy in copied!.CopiesOf(shard)!.Counted)
        {
            world.Network.Send(Id, copy.Node, node =>
            {
                BlockName[] blocks = [.. node.disks[shard].Now.Blocks.Keys];
                world.Network.Send(node.Id, Id, back => back.DropUnknown(shard, issued, blocks));
            });
        }
    }

    /// <summary>That they died must be durable, and the records must have been the newest when they were read. Of a drive that is gone, all
    /// are dead.</summary>
    private void DropUnknown(ShardId shard, Dictionary<DriveId, ulong> issued, BlockName[] blocks)
    {
        if (!MayAnswer(shard)) { return; }
        ShardDisk disk = disks[shard].Now;
        IEnumerable<BlockName> unknown = world.Bug == PoolBug.DropGranted
            ? blocks.Where(block => !IsReferredTo(disk, block))
            : disk.FindUnknown(blocks);
        BlockName[] dead = [.. unknown.Where(block => !issued.TryGetValue(block.Owner, out ulong limit) || block.Id.Value < limit)];
        if (dead.Length == 0) { return; }
        Sync(shard, disk.PositionOf(disk.Applied), status =>
        {
            if (status != Status.Ok || !MayAnswer(shard)) { return; }
            world.Note("unknown blocks dropped");
            DropBlocks(shard, dead);
        });
    }

    private static bool IsReferredTo(ShardDisk disk, BlockName block)
    {
        RecordKey key = RecordKey.Numbered(RecordKind.BlockLive, block.Id.Value);
        return new StoredDriveView(disk.Records, [new(block.Owner, CowNumber.Head)]).TryGet(ref key, new ByteBuffer());
    }

    private void AddBlock(ShardId shard, BlockName block, int content) =>
        disks[shard].Change(disk => disk.Blocks = disk.Blocks.SetItem(block, new(content)));

    private void AddShard(ShardId shard, LogShape log, LogIndex applied, bool lacksSnapshot = false)
    {
        ShardReplica replica = core!.AddShard(shard, log, applied, lacksSnapshot);
        replica.HasBlocks = copy => world.Bug == PoolBug.SkipBlocks || copied!.HasAll(shard, copy);
    }

    /// <summary>Sends a block to who lacks it, until nobody who counts does: as <c>BlockCopies</c>.</summary>
    private void Spread(BlockWrite write)
    {
        if (Answer(write)) { return; }
        if (copied!.CopiesOf(write.Shard) is not { } copies) { return; }
        foreach (InSyncReplica copy in copies.Others.Where(copy => !write.Has.Contains(copy)))
        {
            // One that does not count, and is gone, cannot count before it has looked for what it lacks.
            if (!copied.IsWaitedFor(write.Shard, copy, Clock) && copied.OnMissed(write.Shard, copy)) { continue; }
            world.Network.Send(Id, copy.Node, node => node.TakeBlock(Id, copies.Epoch, write));
        }

        world.After(TimeSpan.FromMilliseconds(100), () => WhenAwake(() => Spread(write)));
    }

    /// <summary>Answers once every copy that is to have it has it.</summary>
    /// <returns>Nobody waits for it any more.</returns>
    private bool Answer(BlockWrite write)
    {
        if (write.IsAnswered || TermOf(write.Shard) != write.Term) { return true; }
        if (copied!.CopiesOf(write.Shard) is not { } copies || !copies.Others.All(write.Has.Contains)) { return false; }
        write.IsAnswered = true;
        served[write.Shard].Find(write.Block.Owner)?.OnStored(write.Block.Id);
        write.Answer(new(Status.Ok));
        return true;
    }

    private void TakeBlock(NodeId from, Epoch epoch, BlockWrite write)
    {
        if (TakesNothing || !MayCopy(write.Shard, epoch)) { return; }
        AddBlock(write.Shard, write.Block, write.Content);
        InSyncReplica process = core!.Process;
        world.Network.Send(Id, from, node =>
        {
            write.Has.Add(process);
            node.Answer(write);
        });
    }

    /// <summary>Whether it keeps blocks of a shard for a primary of a reign.</summary>
    private bool MayCopy(ShardId shard, Epoch epoch) =>
        core!.Find(shard) is { IsPrimary: false, Reign: { } reign } && reign.Epoch <= epoch;

    /// <summary>Asks primaries, now and then, what there is of shards of which its copy does not count.</summary>
    private void HealBlocks(ReplicaNode process)
    {
        WhenAwake(() =>
        {
            foreach (Reign reign in core!.View.Reigns.Where(reign => reign.Members.Contains(Id) && !reign.Has(Id, Boot) && reign.Primary != Id))
            {
                BootId boot = Boot;
                world.Network.Send(Id, reign.Primary, node => node.ListBlocks(Id, boot, reign.Shard));
            }
        });
        world.After(TimeSpan.FromMilliseconds(150), () =>
        {
            if (core == process) { HealBlocks(process); }
        });
    }

    private void ListBlocks(NodeId from, BootId boot, ShardId shard)
    {
        if (copied!.BeginList(shard, from) is not { } token) { return; }
        ImmutableSortedDictionary<BlockName, StoredBlock> blocks = disks[shard].Now.Blocks;
        BlockName[] bad = [.. blocks.Where(static block => block.Value.IsBad).Select(static block => block.Key)];
        foreach (BlockName name in bad) { Mend(shard, name); }

        // What is bad here is to be had once it is mended, unless it is dead.
        if (bad.Length > 0 && (!TellsWhatIsGone(shard) || disks[shard].Now.FindUnknown(bad).Count < bad.Length)) { return; }
        blocks = blocks.RemoveRange(bad);
        world.Network.Send(Id, from, node => node.TakeBlocks(Id, boot, shard, token, blocks));
    }

    private bool TellsWhatIsGone(ShardId shard) => core!.Find(shard)!.TellsWhatIsGone(disks[shard].Now.Applied, Clock);

    private void TakeBlocks(NodeId from, BootId boot, ShardId shard, ulong token, ImmutableSortedDictionary<BlockName, StoredBlock> blocks)
    {
        if (Boot != boot || TakesNothing || IsStuck || !disks.TryGetValue(shard, out SimulatedShardDisk? disk)) { return; }
        KeyValuePair<BlockName, StoredBlock>[] lacking = [.. blocks.Where(block => !disk.Now.Blocks.ContainsKey(block.Key))];

        if (lacking.Length > 0)
        {
            world.Note("blocks fetched");
            disk.Change(one => one.Blocks = one.Blocks.SetItems(lacking));
        }

        // They must be on disk before this copy counts: what refers to them is already.
        long mark = disk.Mark;
        ReplicaNode? process = core;
        world.After(SyncDelay, () => WhenAwake(() =>
        {
            if (core != process) { return; }
            disk.SyncTo(mark);
            world.Network.Send(Id, from, node => node.copied!.OnComplete(shard, Id, boot, token));
        }));
    }

    /// <summary>A block on its way to the copies.</summary>
    private sealed class BlockWrite(ShardId shard, SimulatedShard term, BlockName block, int content, Action<DriveAnswer> answer)
    {
        public ShardId Shard => shard;

        public SimulatedShard Term => term;

        public BlockName Block => block;

        public int Content => content;

        public Action<DriveAnswer> Answer => answer;

        public HashSet<InSyncReplica> Has { get; } = [];

        public bool IsAnswered { get; set; }
    }
}
