using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <content>Blocks that are bad: found by who reads them, and by reading all of them now and then; had from another copy, and put in their place.
/// </content>
internal sealed partial class SimulatedNode
{
    /// <summary>How long a node that is asked for a block is waited for.</summary>
    private static readonly TimeSpan s_fetchTime = TimeSpan.FromMilliseconds(500);

    /// <summary>Blocks that are being had from others.</summary>
    private readonly HashSet<(ShardId Shard, BlockName Block)> mending = [];

    /// <summary>Whether a block of a shard is bad here.</summary>
    public bool HasBad(ShardId shard) => disks.TryGetValue(shard, out SimulatedShardDisk? disk) && disk.Now.Blocks.Values.Any(static block => block.IsBad);

    /// <summary>Reads all blocks, now and then, and has bad ones mended.</summary>
    private void Scrub(ReplicaNode process)
    {
        WhenAwake(() =>
        {
            if (world.Bug == PoolBug.SkipScrub) { return; }
            foreach ((ShardId shard, SimulatedShardDisk disk) in disks.OrderBy(static one => one.Key.Value))
            {
                foreach ((BlockName name, StoredBlock block) in disk.Now.Blocks)
                {
                    if (block.IsBad) { Mend(shard, name); }
                }
            }
        });
        world.After(world.Between(1_000, 3_000), () =>
        {
            if (core == process) { Scrub(process); }
        });
    }

    /// <summary>Asks for a bad block, one node after the other, as <c>BlockFetcher</c>: what nobody gives now is asked for again by the next
    /// scrub.</summary>
    private void Mend(ShardId shard, BlockName name)
    {
        if (core!.Find(shard)?.Reign is not { } reign || !IsBad(shard, name) || !mending.Add((shard, name))) { return; }
        ReplicaNode process = core;
        Queue<NodeId> holders = new(BlockSearch.HoldersOf(reign, Id));
        BlockSearch search = new();
        AskNext();

        void AskNext()
        {
            if (!holders.TryDequeue(out NodeId holder))
            {
                mending.Remove((shard, name));
                if (search.Outcome != Status.Busy) { world.Note("block not to be had"); }
                return;
            }

            bool isAnswered = false;
            world.Network.Send(Id, holder, node => node.Give(Id, shard, name, End));
            world.After(s_fetchTime, () => WhenAwake(() => End(Status.Busy, default)));

            void End(Status status, StoredBlock block)
            {
                if (isAnswered || core != process) { return; }
                isAnswered = true;
                if (status == Status.Ok) { Replace(shard, name, block); }
                else
                {
                    search.OnAnswer(status);
                    AskNext();
                }
            }
        }
    }

    /// <summary>Gives another node a block that is good here.</summary>
    private void Give(NodeId to, ShardId shard, BlockName name, Action<Status, StoredBlock> answer)
    {
        StoredBlock block = default;
        Status status = !disks.TryGetValue(shard, out SimulatedShardDisk? disk) || !disk.Now.Blocks.TryGetValue(name, out block) ? Status.NotFound
            : block.IsBad ? Status.Corrupt : Status.Ok;
        if (status == Status.Corrupt) { Mend(shard, name); }
        world.Network.Send(Id, to, _ => answer(status, block));
    }

    private void Replace(ShardId shard, BlockName name, StoredBlock good)
    {
        mending.Remove((shard, name));
        if (!IsBad(shard, name)) { return; }
        world.Note("block mended");
        disks[shard].Change(disk =>
        {
            if (disk.Blocks.ContainsKey(name)) { disk.Blocks = disk.Blocks.SetItem(name, good); }
        });
    }

    private bool IsBad(ShardId shard, BlockName name) => disks[shard].Now.Blocks.GetValueOrDefault(name).IsBad;
}
