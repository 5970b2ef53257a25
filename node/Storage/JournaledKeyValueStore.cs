using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>The key-value store of a node: tables, and a journal of what was logged since they were last flushed.</summary>
/// <remarks>
/// Why not RocksDB's own log: it grows, so that each sync stores the file's new size, too; files that are overwritten in
/// place sync in little more than half of the time (docs/design.md, section 4). A logged write, under one lock, so that the
/// journal's order is that of the tables: (1) its record is appended to the journal, which the end of the process does not
/// take; (2) its changes go into the tables, and with them the mark: the record's number. So whatever the tables have flushed
/// says up to where the journal is not needed any more, and a start applies what is behind that. A sync stores the journal
/// alone.
/// <para>Files of the journal are used again once the tables are flushed. Its keeper, a thread of its own, prepares the next
/// file before the last one is full, and flushes when there is much to apply; writers wait for it only when the disk cannot
/// keep up (<see cref="JournalOptions.MaxBytes"/>).</para>
/// <para>Failures. The journal cannot be appended to, or the tables cannot take what is in it already, for want of space: the
/// record is taken back, durably, before NoSpace is answered. Everything else latches.</para>
/// </remarks>
public sealed partial class JournaledKeyValueStore : IKeyValueStore
{
    /// <summary>The journal's folder, in that of the tables.</summary>
    internal const string JournalFolder = "journal";

    /// <summary>Bytes that may have to be written for what was accepted, without asking: the journal, and tables with as much
    /// twice, the entries of a log and the records that they led to; 96 MiB.</summary>
    public const long MaxUnaskedBytes = 3 * (32L << 20);

    private readonly object gate = new();
    private readonly GatheringTables tables;
    private readonly Journal journal;
    private readonly JournalOptions options;
    private readonly ulong journalId;
    private readonly FailureLatch latch = new();
    private readonly GroupCommit syncs;
    private readonly List<JournalSegment> syncing = [];
    private readonly Thread? keeper;

    // What has a number, and what of it is durable; written under the gate.
    private ulong last;
    private ulong durable;

    // The number of the last mark that the tables took: behind the last number, if records were withdrawn since.
    private ulong marked;

    private JournaledKeyValueStore(
        GatheringTables tables, Journal journal, JournalOptions options, ulong journalId, bool hasKeeper)
    {
        this.tables = tables;
        this.journal = journal;
        this.options = options;
        this.journalId = journalId;
        last = journal.Last;
        durable = journal.Durable;
        marked = journal.Last;
        syncs = new GroupCommit(SyncOnce);
        if (!hasKeeper) { return; }
        keeper = new Thread(Keep) { IsBackground = true, Name = "journal" };
        keeper.Start();
    }

    public bool IsFailed => latch.IsFailed;

    public string? Failure => latch.Reason;

    /// <summary>Opens the folder, or makes it: a RocksDB, and the journal in it.</summary>
    /// <remarks>RocksDB's lock is held before the journal is touched.</remarks>
    /// <param name="path">The folder.</param>
    /// <param name="watch">Sees what the disk owes to the journal.</param>
    /// <exception cref="StorageException">InUse, Corrupt, NotSupported, NoSpace, IoError; the message says what to do.
    /// </exception>
    public static JournaledKeyValueStore Open(string path, DiskWatch? watch = null)
    {
        RocksTables tables = RocksTables.Open(path);
        bool isOpen = false;
        try
        {
            JournaledKeyValueStore store = Open(tables, new LinuxDisk(path, watch), new JournalOptions(), hasKeeper: true);
            isOpen = true;
            return store;
        }
        finally
        {
            if (!isOpen) { tables.Dispose(); }
        }
    }

    /// <summary>Opens the journal of tables, and applies what they do not have; the store owns the tables then.</summary>
    /// <param name="below">The tables; the caller's own again if this throws.</param>
    /// <param name="disk">Has the journal's folder.</param>
    /// <param name="options">Sizes.</param>
    /// <param name="hasKeeper">Whether a thread looks after the journal; else who writes does.</param>
    internal static JournaledKeyValueStore Open(ITableStore below, IDisk disk, JournalOptions options, bool hasKeeper)
    {
        GatheringTables tables = new(below, options.GatheredChanges);
        JournalMark mark = Begin(tables, disk, options);
        JournalRecovery found = JournalRecovery.Run(
            disk, JournalFolder, $"{tables.Path}/{JournalFolder}", mark, JournalFormat.SegmentBytesFor(options.MaxPayloadBytes),
            (batch, number) => Require(
                tables.Write(batch, mark with { Number = number }, out string? failure), tables, "applying the journal", failure));
        Journal journal = new(disk, JournalFolder, options, mark.Journal, found);
        bool isOpen = false;
        try
        {
            // Numbers go on above everything that was ever written, so that nothing that was lost is taken for what comes.
            if (found.Highest > mark.Number)
            {
                WriteMark(tables, mark with { Number = found.Highest });
            }

            found.RemoveUnfinished();
            JournaledKeyValueStore store = new(tables, journal, options, mark.Journal, hasKeeper);
            isOpen = true;
            return store;
        }
        finally
        {
            if (!isOpen) { journal.Dispose(); }
        }
    }

    public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => tables.TryGet(family, key, value);

    public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        tables.OpenCursor(family, from, to);

    public IKeyValueSnapshot CreateSnapshot() => tables.CreateSnapshot();

    public Status Write(KeyValueBatch batch, bool logged)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (latch.IsFailed) { return Status.IoError; }
        if (batch.Count == 0) { return Status.Ok; }
        if (!logged) { return OnWritten(tables.Write(batch, null, out string? failure), failure); }
        if (batch.Bytes > options.MaxPayloadBytes) { return Status.TooLarge; }
        lock (gate)
        {
            Status status = WaitForRoom(batch.Bytes);
            return status == Status.Ok ? WriteLogged(batch) : status;
        }
    }

    public Status SyncLog()
    {
        if (latch.IsFailed) { return Status.IoError; }

        // Many an fsync follows another, or comes from a file that did not change: that costs nothing.
        return Volatile.Read(ref durable) >= Volatile.Read(ref last) ? Status.Ok : syncs.Commit();
    }

    public KeyValueStatistics GetStatistics() => tables.GetStatistics() with
    {
        Syncs = syncs.Runs,
        LogBytes = journal.AppendedBytes,
    };

    public void Dispose()
    {
        if (keeper is not null)
        {
            lock (gate)
            {
                isStopping = true;
                Monitor.PulseAll(gate);
            }

            keeper.Join();
        }

        // So that the next start has nothing to apply. If it fails, it has.
        if (!latch.IsFailed) { _ = tables.Flush(out _); }
        journal.Dispose();
        tables.Dispose();
    }

    /// <summary>The mark of the tables; in new ones, makes the folder and then the mark.</summary>
    private static JournalMark Begin(GatheringTables tables, IDisk disk, JournalOptions options)
    {
        string shown = $"{tables.Path}/{JournalFolder}";
        Status made;
        if (tables.TryReadMark(out JournalMark mark))
        {
            List<string> names = [];
            if (disk.List(JournalFolder, names) != Status.NotFound) { return mark; }
            throw new StorageException(
                Status.Corrupt,
                $"The folder '{shown}' is gone: what was logged last may be missing. Nothing was changed. Restore the data folder "
                + "from a backup; or, to go on without that, make an empty folder of this name.");
        }

        made = disk.CreateDirectory(JournalFolder);
        if (made is Status.Ok or Status.Exists) { made = disk.SyncDirectory(""); }
        if (made != Status.Ok)
        {
            throw new StorageException(made, $"The folder '{shown}' cannot be made: {made}. Check the path and its owner.");
        }

        mark = new(0, options.Draw());
        WriteMark(tables, mark);
        return mark;
    }

    private static void WriteMark(GatheringTables tables, JournalMark mark)
    {
        Require(tables.Write(new KeyValueBatch(), mark, out string? failure), tables, "writing the journal's mark", failure);
        Require(tables.Flush(out failure), tables, "flushing", failure);
    }

    private static void Require(Status status, GatheringTables tables, string doing, string? failure)
    {
        if (status == Status.Ok) { return; }
        string advice = status == Status.NoSpace ? "The disk is full: make room, then start again." : "Check the disk.";
        throw new StorageException(
            status, $"The key-value store '{tables.Path}' cannot be opened: {doing} failed. Nothing was lost. {advice} {failure}");
    }

    private Status WriteLogged(KeyValueBatch batch)
    {
        int position = journal.Position;

        // 1.
        Status status = journal.Append(batch);
        Volatile.Write(ref last, journal.Last);
        string? failure = null;

        // 2.
        if (status == Status.Ok)
        {
            status = tables.Write(batch, new JournalMark(journal.Last, journalId), out failure);
            if (status == Status.Ok)
            {
                marked = journal.Last;
                if (NeedsKeeping) { Monitor.PulseAll(gate); }
                return Status.Ok;
            }
        }

        if (status != Status.NoSpace) { return Fail("Writing to", $"{status} {failure}"); }
        status = journal.Withdraw(position);
        return status == Status.Ok ? Status.NoSpace : Fail("Taking back a write that had no room in", status.ToString());
    }

    private Status OnWritten(Status status, string? failure) =>
        status is Status.Ok or Status.NoSpace ? status : Fail("Writing to", $"{status} {failure}");

    private Status Fail(string doing, string how) =>
        latch.Fail($"{doing} the key-value store '{tables.Path}' failed: {how}");

    /// <remarks>A sync that fails for want of space is a failed sync: what is on the disk is unknown.</remarks>
    private Status SyncOnce()
    {
        ulong upTo;
        syncing.Clear();
        lock (gate)
        {
            upTo = journal.Last;
            journal.TakeUnsynced(syncing);
        }

        foreach (JournalSegment segment in syncing)
        {
            Status status = segment.Sync();
            if (status != Status.Ok) { return Fail("Syncing the journal of", $"{segment.Path}: {status}"); }
        }

        lock (gate)
        {
            journal.OnSynced(upTo, syncing);
            Volatile.Write(ref durable, journal.Durable);
        }

        return Status.Ok;
    }
}
