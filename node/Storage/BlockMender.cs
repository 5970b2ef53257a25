using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using KvFs.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Storage;

/// <summary>Sees to blocks that are bad on this node: fetches them from who has them, puts the good copy in their place, and knows
/// which ones nobody has.</summary>
/// <remarks>Thread safe. One thread at a time mends a block; others that want it wait, and find it good. What is bad is never
/// overwritten: <see cref="DriveStore.Replace"/>. A block that is not here is fetched only if a record refers to it, and goes again
/// if, by then, none does.</remarks>
public sealed partial class BlockMender
{
    /// <summary>Bytes of bad blocks that one drive keeps: a disk that has more of them is to be replaced, not written to.</summary>
    public const long DefaultQuarantineBytes = 1L << 30;

    /// <summary>Blocks that are known to be lost, or suspected to be bad, at the most: bounds memory. The scrub finds the others.
    /// </summary>
    private const int MaxKnown = 10_000;

    /// <summary>Locks: so many that two blocks seldom share one.</summary>
    private const int LockCount = 64;

    private readonly BlockStore store;
    private readonly BlockCounters counters;
    private readonly Lock[] locks = [.. Enumerable.Range(0, LockCount).Select(static _ => new Lock())];
    private readonly ConcurrentDictionary<BlockName, bool> lost = new();
    private readonly ConcurrentDictionary<BlockName, bool> suspects = new();
    private int toldFull;

    internal BlockMender(BlockStore store, BlockCounters counters)
    {
        this.store = store;
        this.counters = counters;
    }

    /// <summary>Where blocks can be had; null: nowhere.</summary>
    public IBlockSource? Source { get; set; }

    /// <summary>Is told what was found.</summary>
    public ILogger Logger { get; set; } = NullLogger.Instance;

    /// <summary>Bytes of bad blocks that one drive may keep.</summary>
    internal long QuarantineBytes { get; set; } = DefaultQuarantineBytes;

    public RepairStatistics GetStatistics()
    {
        QuarantineTotals kept = store.Quarantine;
        return new(counters.BadBlocks, counters.RepairedBlocks, lost.Count, kept.Blocks, kept.Bytes);
    }

    /// <summary>Whether a block is bad here, and nobody has it any better.</summary>
    public bool IsLost(BlockName block) => lost.ContainsKey(block);

    /// <summary>Says that a block may be bad, to whoever has time to look.</summary>
    public void Suspect(BlockName block)
    {
        if (suspects.Count < MaxKnown) { suspects[block] = true; }
    }

    /// <summary>Has those tried again that nobody had: a node may have come back that has them.</summary>
    public void SuspectLost()
    {
        foreach (BlockName block in lost.Keys) { Suspect(block); }
    }

    /// <summary>Takes a block that may be bad; false: none is suspected.</summary>
    public bool TryTakeSuspect(out BlockName block)
    {
        foreach (BlockName one in suspects.Keys)
        {
            block = one;
            if (suspects.TryRemove(one, out _)) { return true; }
        }

        block = default;
        return false;
    }

    /// <summary>Mends a block, if it is bad.</summary>
    /// <returns>Ok: it is good here, durably; NotFound: it is not here, and nothing refers to it; Corrupt: it is bad, and nobody has it
    /// any better; Busy: not everybody who may have it answered; NoSpace, TooLarge: it is bad, others have it, but here is no room, or
    /// too much is kept of bad ones; IoError: the store is latched; what opening its drive answered.</returns>
    public Status Mend(BlockName block) => Mend(block, store.SpreadOf(block.Owner), isNamed: false, out _);

    /// <summary>As <see cref="Mend(BlockName)"/>, but the records that tell what refers to the block may be elsewhere: who asks knows that
    /// something does.</summary>
    /// <param name="block">Which.</param>
    /// <param name="spread">Percent of the pool's shards over which its owner's blocks are spread.</param>
    internal Status MendNamed(BlockName block, int spread) => Mend(block, spread, isNamed: true, out _);

    /// <summary>Reads a block that is bad, or not here.</summary>
    /// <param name="block">Which.</param>
    /// <param name="offset">From where on.</param>
    /// <param name="destination">Gets the bytes.</param>
    /// <param name="found">Corrupt or NotFound: what a read of it answered.</param>
    /// <returns>As <see cref="BlockStore.ReadBlock"/>.</returns>
    internal Status Read(BlockName block, int offset, Span<byte> destination, Status found)
    {
        if (found == Status.NotFound && Source is null) { return found; }
        int spread = store.SpreadOf(block.Owner);
        if (found == Status.NotFound && spread != 0 && !Source!.IsKeptHere(block, spread)) { return Source.Read(block, spread, offset, destination); }
        if (found == Status.NotFound && !store.IsReferredTo(block)) { return found; }
        Status status = Mend(block, spread, isNamed: false, out byte[]? content);
        if (content is not null)
        {
            // What came is good, wherever it can be kept.
            if (offset < 0 || offset > content.Length - destination.Length) { return Status.Invalid; }
            content.AsSpan(offset, destination.Length).CopyTo(destination);
            return Status.Ok;
        }

        return status switch
        {
            Status.Ok => store.ReadOwnCopy(block, offset, destination),
            Status.NotFound => status,

            // Who has it may answer later.
            Status.Busy when found == Status.NotFound => status,
            _ => Status.Corrupt,
        };
    }

    /// <summary>Blocks are dropped: nobody misses them.</summary>
    internal void Forget(DriveId owner, ReadOnlySpan<BlockId> ids)
    {
        if (lost.IsEmpty) { return; }
        foreach (BlockId id in ids) { lost.TryRemove(new(owner, id), out _); }
    }

    /// <summary>A drive is removed.</summary>
    internal void Forget(DriveId owner)
    {
        foreach (BlockName block in lost.Keys)
        {
            if (block.Owner == owner) { lost.TryRemove(block, out _); }
        }
    }

    private Status Mend(BlockName block, int spread, bool isNamed, out byte[]? content)
    {
        content = null;
        lock (locks[(uint)block.GetHashCode() % LockCount])
        {
            Status found = Look(block, out BlockIndexEntry? entry);
            if (found == Status.Ok)
            {
                lost.TryRemove(block, out _);
                return found;
            }

            bool isBad = found is Status.Corrupt or Status.IoError;
            if (!isBad && (found != Status.NotFound || !(isNamed || store.IsReferredTo(block)))) { return found; }
            counters.OnBad();
            Status fetched = Source is { } source ? source.Fetch(block, spread, entry, out content) : Status.Corrupt;
            if (fetched == Status.Ok)
            {
                Status placed = found == Status.NotFound ? PutBack(block, spread, isNamed, content!) : Replace(block, entry, content!);
                OnPlaced(block, placed);
                return placed;
            }

            content = null;
            if (fetched == Status.Busy) { return fetched; }

            // One that nothing refers to is no loss; of one that is spread, other nodes know.
            if (store.IsReferredTo(block) || (spread != 0 && Source?.IsKeptHere(block, spread) == true)) { OnLost(block); }
            return Status.Corrupt;
        }
    }

    /// <summary>How a block is here. Corrupt or IoError with an entry: its bytes are bad; without: the entry is.</summary>
    private Status Look(BlockName block, out BlockIndexEntry? entry)
    {
        entry = null;
        if (!TryEnter(block.Owner, out DriveStore? drive, out Status status)) { return status; }
        try
        {
            status = drive.Find(block.Id, useCache: false, out entry);
            return status == Status.Ok ? drive.Verify(entry!) : status;
        }
        finally
        {
            drive.Leave();
        }
    }

    /// <summary>A good copy was kept, or could not be.</summary>
    private void OnPlaced(BlockName block, Status status)
    {
        switch (status)
        {
            case Status.Ok:
                counters.OnRepaired();
                lost.TryRemove(block, out _);
                LogMended(Logger, block);
                break;
            case Status.TooLarge:
                if (Interlocked.Exchange(ref toldFull, 1) == 0) { LogFull(Logger, block); }
                break;
            default:
                break;
        }
    }

    private Status Replace(BlockName block, BlockIndexEntry? entry, ReadOnlySpan<byte> content)
    {
        if (!TryEnter(block.Owner, out DriveStore? drive, out Status status)) { return status; }
        try
        {
            return drive.Replace(block.Id, entry, content, QuarantineBytes);
        }
        finally
        {
            drive.Leave();
        }
    }

    /// <summary>Keeps a block that was not here.</summary>
    private Status PutBack(BlockName block, int spread, bool isNamed, ReadOnlySpan<byte> content)
    {
        StorageResult opened = store.OpenOrCreateDrive(block.Owner, spread);
        if (!opened.IsOk) { return opened.Status; }
        Status status = store.WriteOwnCopy(block, content, SpaceUse.Data);
        if (status == Status.Ok) { status = store.SyncBlocks(block.Owner); }
        if (status == Status.Ok) { status = store.SyncIndex(); }
        if (status != Status.Ok || isNamed || store.IsReferredTo(block)) { return status; }

        // It died meanwhile, and whoever dropped it did not find it here.
        status = store.DropOwnCopies(block.Owner, [block.Id]);
        return status == Status.Ok ? Status.NotFound : status;
    }

    private bool TryEnter(DriveId owner, [NotNullWhen(true)] out DriveStore? drive, out Status status)
    {
        status = Status.Ok;
        if (store.TryEnter(owner, out drive)) { return true; }
        status = store.OpenDrive(owner).Status;
        if (status != Status.Ok) { return false; }
        if (store.TryEnter(owner, out drive)) { return true; }
        status = Status.NotFound;
        return false;
    }

    private void OnLost(BlockName block)
    {
        if (lost.Count >= MaxKnown || !lost.TryAdd(block, true)) { return; }
        if (Source is null) { LogLostHere(Logger, block); }
        else { LogLost(Logger, block); }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Block {Block} was bad here. A good copy of another node has taken its place.")]
    private static partial void LogMended(ILogger logger, BlockName block);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Block {Block} is bad here, and no other node has it whole. Reads of it fail until one comes back that has; else restore "
            + "the files that it belongs to.")]
    private static partial void LogLost(ILogger logger, BlockName block);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Block {Block} is bad, and there is no other copy. Reads of it fail: restore the files that it belongs to.")]
    private static partial void LogLostHere(ILogger logger, BlockName block);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Block {Block} is bad here and is not mended, because so many bad ones are kept already. The disk may be failing: drain "
            + "the node and replace it, or stop it and release them: kvfs fsck --offline --repair.")]
    private static partial void LogFull(ILogger logger, BlockName block);
}
