using KvFs.Core;
using KvFs.Memory;
using KvFs.Node.Storage;
using Microsoft.Extensions.Logging;

namespace KvFs.Node.Maintenance;

/// <summary>Reads all blocks of a node again and again, slowly, past the page cache, and has bad ones mended.</summary>
/// <remarks>One thread runs it. In each step: (1) blocks that somebody found bad, and, once a minute, those that nobody had; (2) as
/// many of the others as the rate has left since the last step, in the order of drives and ids. It rests behind each MiB
/// (<see cref="Pace"/>), so that clients come first. Where it is survives a restart.</remarks>
public sealed partial class Scrubber : IDisposable
{
    /// <summary>Bytes that are read between two rests.</summary>
    private const int PartBytes = 1 << 20;

    /// <summary>Bytes a second below which there is no use in being slower: a node with little comes around within hours.</summary>
    private const long LeastBytesPerSecond = 64 << 10;

    /// <summary>Entries that are read at once, so that no view of the index stays open while the work rests.</summary>
    private const int EntriesAtOnce = 256;

    /// <summary>Bytes after which it is written down how far it is.</summary>
    private const long NoteBytes = 64L << 20;

    /// <summary>Bytes that may be read at once after an idle time: the longest block.</summary>
    private const long MostCredit = Limits.BlockBytes;

    /// <summary>The part of the time of a pass that lies between two of them, at the least.</summary>
    private const int RestingPart = 7;

    /// <summary>How often those blocks are tried again that nobody had.</summary>
    private static readonly TimeSpan s_retry = TimeSpan.FromMinutes(1);

    private readonly BlockStore blocks;
    private readonly IKeyValueStore store;
    private readonly TimeProvider clock;
    private readonly ScrubOptions options;
    private readonly ILogger logger;
    private readonly AlignedMemory buffer = new(PartBytes);
    private readonly List<(BlockName Name, BlockIndexEntry? Entry)> round = [];
    private ScrubPosition position;
    private long creditAt;
    private long retriedAt;
    private double credit;
    private long unnoted;
    private long scrubbedBytes;
    private long lastEnded;

    public Scrubber(BlockStore blocks, IKeyValueStore store, TimeProvider clock, ScrubOptions options, ILogger logger)
    {
        ArgumentNullException.ThrowIfNull(clock);
        ArgumentNullException.ThrowIfNull(options);
        this.blocks = blocks;
        this.store = store;
        this.clock = clock;
        this.options = options;
        this.logger = logger;
        position = ScrubPosition.Read(store);
        lastEnded = position.LastEnded.Nanoseconds;
        creditAt = retriedAt = clock.GetTimestamp();
    }

    /// <summary>Bytes of blocks that were read and compared since the start.</summary>
    public long ScrubbedBytes => Volatile.Read(ref scrubbedBytes);

    /// <summary>When the last whole pass ended; zero: none has.</summary>
    public Timestamp LastEnded => new(Volatile.Read(ref lastEnded));

    /// <summary>Does one step.</summary>
    /// <param name="pace">Kept meanwhile.</param>
    /// <param name="stop">Ends it early.</param>
    public void Run(Pace pace, CancellationToken stop)
    {
        ArgumentNullException.ThrowIfNull(pace);
        MendSuspects(stop);
        if (options.BytesPerSecond <= 0 || IsEarly()) { return; }
        double elapsed = clock.GetElapsedTime(creditAt).TotalSeconds;
        creditAt = clock.GetTimestamp();
        credit = Math.Min(MostCredit, credit + (elapsed * BytesPerSecond()));
        bool goesOn = true;
        while (credit > 0 && goesOn) { goesOn = Advance(pace, isBounded: true, stop); }
    }

    /// <summary>Reads all blocks from where it is to the end of the pass, whatever the rate.</summary>
    /// <param name="pace">Kept meanwhile.</param>
    /// <param name="stop">Ends it early.</param>
    internal void FinishPass(Pace pace, CancellationToken stop)
    {
        MendSuspects(stop);
        bool goesOn = true;
        while (goesOn) { goesOn = Advance(pace, isBounded: false, stop); }
    }

    /// <summary>Writes down where it is. Nobody may run it any more.</summary>
    public void Dispose()
    {
        if (unnoted > 0) { Note(); }
        ((IDisposable)buffer).Dispose();
    }

    private void MendSuspects(CancellationToken stop)
    {
        BlockMender mender = blocks.Mender;
        if (clock.GetElapsedTime(retriedAt) >= s_retry)
        {
            retriedAt = clock.GetTimestamp();
            mender.SuspectLost();
        }

        List<BlockName> silent = [];
        while (!stop.IsCancellationRequested && mender.TryTakeSuspect(out BlockName block))
        {
            if (mender.Mend(block) == Status.Busy) { silent.Add(block); }
        }

        // Who has them did not answer: the next step asks again.
        foreach (BlockName block in silent) { mender.Suspect(block); }
    }

    /// <summary>Little is read through soon, and then rests: a pass begins when a part of its time has gone by since the last one.</summary>
    private bool IsEarly()
    {
        if (position.Began != default || position.LastEnded == default) { return false; }
        long since = Timestamp.At(clock.GetUtcNow()).Nanoseconds - position.LastEnded.Nanoseconds;
        return since >= 0 && since < (options.PassTime / RestingPart).TotalNanoseconds;
    }

    /// <summary>The slower of the two rates, in bytes a second.</summary>
    private double BytesPerSecond() => Math.Min(
        options.BytesPerSecond,
        Math.Max(LeastBytesPerSecond, blocks.UsedBytes / Math.Max(1, options.PassTime.TotalSeconds)));

    /// <summary>Reads some blocks of one drive.</summary>
    /// <returns>False: a pass has ended, or the work is to.</returns>
    private bool Advance(Pace pace, bool isBounded, CancellationToken stop)
    {
        if (position.Began == default) { position = position with { Began = Timestamp.At(clock.GetUtcNow()) }; }
        if (!TryFillRound())
        {
            EndPass();
            return false;
        }

        foreach ((BlockName name, BlockIndexEntry? entry) in round)
        {
            if (isBounded && credit <= 0) { break; }
            Scrub(name, entry, pace, stop);
            if (stop.IsCancellationRequested) { return false; }
            position = position with { Drive = name.Owner, Next = new(name.Id.Value + 1) };
        }

        if (unnoted >= NoteBytes) { Note(); }
        return true;
    }

    /// <summary>Takes the next entries, of the drive that it is at, or of one behind it.</summary>
    /// <returns>False: there are none any more.</returns>
    private bool TryFillRound()
    {
        round.Clear();
        foreach (DriveId drive in blocks.ListDrives())
        {
            if (drive.CompareTo(position.Drive) < 0) { continue; }
            using BlockCursor cursor = blocks.OpenBlockCursor(drive, drive == position.Drive ? position.Next : default);
            while (round.Count < EntriesAtOnce && cursor.MoveNext())
            {
                // What a newer version wrote is not for this one to judge.
                if (cursor.Status is Status.Ok or Status.Corrupt && cursor.Name.Owner == drive) { round.Add((cursor.Name, cursor.Entry)); }
            }

            if (round.Count > 0) { return true; }
        }

        return false;
    }

    private void Scrub(BlockName name, BlockIndexEntry? entry, Pace pace, CancellationToken stop)
    {
        bool isGood = entry is not null;
        for (int offset = 0; isGood && offset < entry!.Length && !stop.IsCancellationRequested; offset += PartBytes)
        {
            int length = Math.Min(PartBytes, entry.Length - offset);
            isGood = blocks.VerifyOwnCopy(name, entry, offset, length, buffer) is not (Status.Corrupt or Status.IoError);
            credit -= length;
            unnoted += length;
            Interlocked.Add(ref scrubbedBytes, length);
            pace.Rest();
        }

        if (isGood) { return; }

        // It may only have been dropped since its entry was read: then it is not looked for.
        if (blocks.Mender.Mend(name) == Status.Busy) { blocks.Mender.Suspect(name); }
    }

    private void EndPass()
    {
        Timestamp now = Timestamp.At(clock.GetUtcNow());
        bool hadAny = position.Drive != default;
        position = new(default, default, default, hadAny ? now : position.LastEnded);
        if (!hadAny) { return; }
        Volatile.Write(ref lastEnded, now.Nanoseconds);
        Note();
        RepairStatistics repairs = blocks.Mender.GetStatistics();
        LogPass(logger, ScrubbedBytes, repairs.RepairedBlocks, repairs.UnrepairableBlocks);
    }

    private void Note()
    {
        unnoted = 0;
        _ = position.Write(store);
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "All blocks were read and compared with their checksums. Since the start: {Bytes} bytes; {Repaired} blocks were repaired, "
            + "{Lost} are bad and nobody has them.")]
    private static partial void LogPass(ILogger logger, long bytes, long repaired, long lost);
}
