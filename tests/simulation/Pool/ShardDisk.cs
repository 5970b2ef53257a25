using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>An entry of a simulated log; value 0: it begins a reign, or changes a drive.</summary>
internal readonly record struct SimulatedEntry(Epoch Epoch, long Value, DriveEntry? Drive = null);

/// <summary>A block on a simulated disk.</summary>
/// <param name="Content">What was stored.</param>
/// <param name="IsBad">The disk gives other bytes back, which its checksums tell.</param>
internal readonly record struct StoredBlock(int Content, bool IsBad = false);

/// <summary>What a simulated disk has of one shard: its log, and the list and the records that the log was applied to.</summary>
internal sealed class ShardDisk
{
    public LogPosition Start { get; set; }

    /// <summary>The reigns that ended before that.</summary>
    public ImmutableArray<LogRun> EndedBefore { get; set; } = [];

    public List<SimulatedEntry> Entries { get; } = [];

    public LogIndex Applied { get; set; }

    /// <summary>A snapshot that was to take the place of all that there was is not whole.</summary>
    public bool LacksSnapshot { get; set; }

    /// <summary>The values of all applied entries, in order.</summary>
    public List<long> Values { get; } = [];

    /// <summary>The records of the shard's drives.</summary>
    public RecordTable Records { get; set; } = RecordTable.Empty;

    /// <summary>The blocks of the shard's drives.</summary>
    public ImmutableSortedDictionary<BlockName, StoredBlock> Blocks { get; set; } =
        ImmutableSortedDictionary.Create<BlockName, StoredBlock>(Comparer<BlockName>.Create(static (x, y) => (x.Owner.Value, x.Id.Value).CompareTo((y.Owner.Value, y.Id.Value))));

    public LogIndex Last => new(Start.Index.Value + (ulong)Entries.Count);

    public SimulatedEntry this[LogIndex index] => Entries[(int)(index.Value - Start.Index.Value - 1)];

    public ShardDisk Clone()
    {
        ShardDisk copy = new();
        copy.Restore(this);
        return copy;
    }

    public void Restore(ShardDisk other)
    {
        LacksSnapshot = other.LacksSnapshot;
        Start = other.Start;
        EndedBefore = other.EndedBefore;
        Entries.Clear();
        Entries.AddRange(other.Entries);
        Applied = other.Applied;
        Values.Clear();
        Values.AddRange(other.Values);
        Records = other.Records;
        Blocks = other.Blocks;
    }

    /// <summary>Puts other contents in the place of all but the blocks.</summary>
    public void Replace(
        LogPosition at, ImmutableArray<LogRun> endedBefore, IReadOnlyList<long> values, RecordTable records, bool lacksSnapshot = false)
    {
        LacksSnapshot = lacksSnapshot;
        Start = at;
        EndedBefore = endedBefore;
        Entries.Clear();
        Applied = at.Index;
        long[] copy = [.. values];
        Values.Clear();
        Values.AddRange(copy);
        Records = records;
    }

    /// <summary>Those of some blocks that no record knows; of a drive that is gone, all.</summary>
    public List<BlockName> FindUnknown(IEnumerable<BlockName> blocks)
    {
        List<BlockName> unknown = [];
        foreach (IGrouping<DriveId, BlockName> ofDrive in blocks.GroupBy(static block => block.Owner))
        {
            StoredDriveView view = new(Records, [new(ofDrive.Key, CowNumber.Head)]);
            unknown.AddRange(KnownBlocks.FindUnknown(view, [.. ofDrive.Select(static block => block.Id.Value)]).Select(id => new BlockName(ofDrive.Key, new(id))));
        }

        return unknown;
    }

    public void Cut(LogIndex after) =>
        Entries.RemoveRange((int)(after.Value - Start.Index.Value), (int)(Last.Value - after.Value));

    public void Apply(LogIndex upTo)
    {
        while (Applied < upTo)
        {
            Applied = Applied.Next;
            SimulatedEntry entry = this[Applied];
            if (entry.Value != 0) { Values.Add(entry.Value); }
            if (entry.Drive is { } change) { Records = change.ApplyTo(Records); }
        }
    }

    public void TrimTo(LogIndex upTo)
    {
        Epoch epoch = this[upTo].Epoch;
        EndedBefore = Shape().EndedBefore(upTo);
        Entries.RemoveRange(0, (int)(upTo.Value - Start.Index.Value));
        Start = new(epoch, upTo);
    }

    /// <summary>The place of an entry that is in the log, or the last one that was forgotten.</summary>
    public LogPosition PositionOf(LogIndex index) => index == Start.Index ? Start : new(this[index].Epoch, index);

    public LogShape Shape()
    {
        LogShape shape = new(Start, EndedBefore);
        foreach (SimulatedEntry entry in Entries) { shape.Append(entry.Epoch); }
        return shape;
    }
}

/// <summary>All that a shard's log led to, as a snapshot carries it.</summary>
internal sealed record ShardContents(long[] Values, RecordTable Records);

/// <summary>A disk that forgets what was not synced: at a power cut some of the last changes are gone, the later ones first.
/// </summary>
internal sealed class SimulatedShardDisk
{
    private readonly ShardDisk durable = new();
    private readonly List<Action<ShardDisk>> changes = [];
    private long synced;

    /// <summary>What the operating system shows: all of it survives the death of the process.</summary>
    public ShardDisk Now { get; } = new();

    /// <summary>Changes that there were so far.</summary>
    public long Mark => synced + changes.Count;

    public void Change(Action<ShardDisk> change)
    {
        change(Now);
        changes.Add(change);
    }

    /// <summary>The changes up to a mark are on disk now.</summary>
    public void SyncTo(long mark)
    {
        int count = (int)Math.Clamp(mark - synced, 0, changes.Count);
        for (int at = 0; at < count; at++) { changes[at](durable); }
        changes.RemoveRange(0, count);
        synced += count;
    }

    /// <summary>Gives the space of blocks back: at once, whatever else is on disk.</summary>
    public void DropBlocks(IEnumerable<BlockName> blocks)
    {
        Now.Blocks = Now.Blocks.RemoveRange(blocks);
        durable.Blocks = durable.Blocks.RemoveRange(blocks);
    }

    /// <summary>Whether a power cut leaves a block, and it is good.</summary>
    public bool HasGood(BlockName name) => durable.Blocks.TryGetValue(name, out StoredBlock block) && !block.IsBad;

    /// <summary>The bytes of a block change under their checksums: at once, whatever else is on disk.</summary>
    /// <param name="name">Which.</param>
    /// <param name="shows">What is read instead of it; null: the checksums tell.</param>
    public void Rot(BlockName name, int? shows)
    {
        foreach (ShardDisk disk in (ShardDisk[])[Now, durable])
        {
            if (!disk.Blocks.TryGetValue(name, out StoredBlock block)) { continue; }
            disk.Blocks = disk.Blocks.SetItem(name, shows is { } content ? new(content) : block with { IsBad = true });
        }
    }

    public void CutPower(Random random)
    {
        int kept = random.Next(changes.Count + 1);
        for (int at = 0; at < kept; at++) { changes[at](durable); }
        synced += changes.Count;
        changes.Clear();
        Now.Restore(durable);
    }
}
