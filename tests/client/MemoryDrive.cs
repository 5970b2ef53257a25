using KvFs.Core;
using KvFs.Core.Tests;

namespace KvFs.Client.Tests;

/// <summary>One drive over records in memory: the real operations of core, and a log that a crash cuts.</summary>
/// <remarks>Not thread safe: <see cref="MemorySession"/> holds its lock around every use.</remarks>
public sealed class MemoryDrive
{
    private const ulong ReservedIds = 8192;

    private readonly DriveTransaction transaction = new();
    private readonly List<RecordBatch> unsynced = [];
    private readonly DriveId drive = new(7);
    private readonly ulong quotaBytes;
    private MemoryRecords durable = new();

    public MemoryDrive(ulong quotaBytes = 0)
    {
        this.quotaBytes = quotaBytes;
        Records = new();
        CreateDriveRequest request = new() { Drive = drive, Name = "test", QuotaBytes = quotaBytes };
        Assert.Equal(
            Status.Ok, CreateDrive.Apply(request, DriveCatalog.Read(Records), Records, default, transaction));
        State = transaction.State;
        Commit();
        durable = Records.Copy();
        unsynced.Clear();
    }

    public MemoryRecords Records { get; private set; }

    public DriveState State { get; private set; }

    public DriveCounters Counters { get; private set; }

    public QuotaLedger Ledger { get; private set; } = new();

    /// <summary>Transactions that a crash may lose.</summary>
    public int UnsyncedCount => unsynced.Count;

    public DriveView ViewAt(CowNumber at) => new StoredDriveView(Records, State, at);

    /// <summary>Begins a transaction; the one before is forgotten, if it was not committed.</summary>
    public DriveTransaction Begin(SessionId session, Timestamp now)
    {
        IdMarks next = Counters.Next;
        if (next.Block + (ReservedIds / 2) > Counters.Reserved.Block || next.Cow + 1 >= Counters.Reserved.Cow
            || next.VNode + (ReservedIds / 2) > Counters.Reserved.VNode)
        {
            ReserveIds(next);
        }

        Status status = transaction.Begin(State, Counters, Records, now, Ledger.ReservedByOthers(session));
        Assert.Equal(Status.Ok, status);
        return transaction;
    }

    /// <summary>Puts the transaction into the log.</summary>
    public void Commit()
    {
        RecordBatch batch = new();
        transaction.Build(batch);
        Append(batch);
        State = transaction.State;
        Counters = transaction.Counters;
    }

    /// <summary>What SyncAsync promises.</summary>
    public void Sync()
    {
        foreach (RecordBatch batch in unsynced) { durable.Apply(batch); }
        unsynced.Clear();
    }

    public Status Reserve(SessionId session, Reservation wanted) => Ledger.Reserve(
        session, wanted, new(Counters.UsedBytes, Counters.UsedInodes), new(quotaBytes, 0));

    /// <summary>Power goes: what is durable stays, and the first so many transactions that are not.</summary>
    public void Crash(int kept)
    {
        foreach (RecordBatch batch in unsynced.Take(kept)) { durable.Apply(batch); }
        unsynced.Clear();
        Records = durable.Copy();
        Ledger = new();
        Assert.Equal(Status.Ok, DriveRecords.Load(Records, drive, out DriveState? state, out DriveCounters counters));
        State = state!;
        Counters = counters;
    }

    private void ReserveIds(IdMarks next)
    {
        IdMarks reserved = new(
            next.Cow + ReservedIds, next.VNode + ReservedIds, next.Block + ReservedIds, next.Session + ReservedIds);
        RecordBatch batch = new();
        DriveRecords.Reserve(drive, reserved, batch);

        // Ids are handed out only after their reservation is durable.
        Append(batch);
        Sync();
        Counters = Counters with { Reserved = reserved };
    }

    private void Append(RecordBatch batch)
    {
        Records.Apply(batch);
        unsynced.Add(batch);
    }
}
