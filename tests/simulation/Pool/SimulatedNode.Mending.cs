using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <content>Blocks that are bad: found by who reads them, and by reading all of them now and then; had from another copy, and put in their place.
/// </content>
internal sealed partial class SimulatedNode
{
    /// <summary>How long a node that is asked for a block is waited for.</summary>
    private static readonly TimeSpan s_fetchTime = TimeSpan.FromMilliseconds(500);

    /// <summary>Blocks that are being had from others.</summary>
    private readonly HashSet<(ShardId Shard, ulong Block)> mending = [];

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
                foreach ((ulong id, StoredBlock block) in disk.Now.Blocks)
                {
                    if (block.IsBad) { Mend(shard, id); }
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
    private void Mend(ShardId shard, ulong id)
    {
        if (core!.Find(shard)?.Reign is not { } reign || !IsBad(shard, id) || !mending.Add((shard, id))) { return; }
        ReplicaNode process = core;
        Queue<NodeId> holders = new(BlockSearch.HoldersOf(reign, Id));
        BlockSearch search = new();
        AskNext();

        void AskNext()
        {
            if (!holders.TryDequeue(out NodeId holder))
            {
                mending.Remove((shard, id));
                if (search.Outcome != Status.Busy) { world.Note("block not to be had"); }
                return;
            }

            bool isAnswered = false;
            world.Network.Send(Id, holder, node => node.Give(Id, shard, id, End));
            world.After(s_fetchTime, () => WhenAwake(() => End(Status.Busy, default)));

            void End(Status status, StoredBlock block)
            {
                if (isAnswered || core != process) { return; }
                isAnswered = true;
                if (status == Status.Ok) { Replace(shard, id, block); }
                else
                {
                    search.OnAnswer(status);
                    AskNext();
                }
            }
        }
    }

    /// <summary>Gives another node a block that is good here.</summary>
    private void Give(NodeId to, ShardId shard, ulong id, Action<Status, StoredBlock> answer)
    {
        StoredBlock block = default;
        Status status = !disks.TryGetValue(shard, out SimulatedShardDisk? disk) || !disk.Now.Blocks.TryGetValue(id, out block) ? Status.NotFound
            : block.IsBad ? Status.Corrupt : Status.Ok;
        if (status == Status.Corrupt) { Mend(shard, id); }
        world.Network.Send(Id, to, _ => answer(status, block));
    }

    private void Replace(ShardId shard, ulong id, StoredBlock good)
    {
        mending.Remove((shard, id));
        if (!IsBad(shard, id)) { return; }
        world.Note("block mended");
        disks[shard].Change(disk =>
        {
            if (disk.Blocks.ContainsKey(id)) { disk.Blocks = disk.Blocks.SetItem(id, good); }
        });
    }

    private bool IsBad(ShardId shard, ulong id) => disks[shard].Now.Blocks.GetValueOrDefault(id).IsBad;
}
