using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Core.Tests;

/// <summary>One drive over records in memory: runs operations as the driver of its shard does.</summary>
/// <remarks>Reserves ids by the million, builds a batch of each transaction whose operations all answered Ok, and applies
/// it; each transaction is one second later than the one before.</remarks>
public sealed class TestDrive
{
    private const ulong ReservedIds = 1 << 20;

    private readonly DriveTransaction transaction = new();
    private readonly RecordBatch batch = new();
    private RecordKey? flattened;

    /// <summary>A new drive, alone in the records: nothing but a root directory.</summary>
    public TestDrive(ulong quotaBytes = 0, ulong quotaInodes = 0)
        : this(new(), new(1), "test", quotaBytes, quotaInodes)
    {
    }

    /// <summary>A new drive beside others.</summary>
    public TestDrive(
        MemoryRecords records, DriveId drive, string name, ulong quotaBytes = 0, ulong quotaInodes = 0)
    {
        Records = records;
        CreateDriveRequest request = new()
        {
            Drive = drive, Name = name, QuotaBytes = quotaBytes, QuotaInodes = quotaInodes,
        };
        Status status = CreateDrive.Apply(request, DriveCatalog.Read(records), records, default, transaction);
        Assert.Equal(Status.Ok, status);
        State = transaction.State;
        Commit();
    }

    /// <summary>A drive that is in the records already, as its shard's owner finds it after a start.</summary>
    public TestDrive(MemoryRecords records, DriveId drive)
    {
        Records = records;
        Assert.Equal(Status.Ok, DriveRecords.Load(records, drive, out DriveState? state, out DriveCounters counters));
        State = state!;
        Counters = counters;
    }

    /// <summary>A drive of which the test knows all.</summary>
    public TestDrive(MemoryRecords records, DriveState state, DriveCounters counters)
    {
        Records = records;
        State = state;
        Counters = counters;
    }

    public MemoryRecords Records { get; }

    public DriveState State { get; private set; }

    public DriveCounters Counters { get; private set; }

    /// <summary>The time of the last transaction.</summary>
    public Timestamp Now { get; set; }

    /// <summary>What others have set aside.</summary>
    public Reservation ReservedByOthers { get; set; }

    /// <summary>Changes a batch before it is applied: for planted bugs.</summary>
    public Action<RecordBatch>? Tamper { get; set; }

    public DriveView Head => ViewAt(CowNumber.Head);

    public DriveView ViewAt(CowNumber at) => new StoredDriveView(Records, State, at);

    /// <summary>Runs operations as one transaction: applied if the answer is Ok, else forgotten.</summary>
    public Status Run(Func<DriveTransaction, Status> operations, bool restores = false)
    {
        Status status = operations(Begin(restores));
        if (status == Status.Ok) { Commit(); }
        return status;
    }

    /// <summary>Begins a transaction; the one before is forgotten, if it was not committed.</summary>
    public DriveTransaction Begin(bool restores = false)
    {
        Reserve();
        Now = new(Now.Nanoseconds + 1_000_000_000);
        Assert.Equal(Status.Ok, transaction.Begin(State, Counters, Records, Now, ReservedByOthers, restores));
        return transaction;
    }

    /// <summary>Makes a clone and applies both batches as one.</summary>
    public Status Clone(DriveId id, string name, string? snapshot, out TestDrive? clone)
    {
        DriveTransaction clones = new();
        CreateCloneRequest request = new() { Drive = id, Name = name, Snapshot = snapshot };
        Status status = CreateClone.Apply(request, DriveCatalog.Read(Records), Records, Begin(), clones);
        clone = null;
        if (status != Status.Ok) { return status; }
        batch.Clear();
        clones.Build(batch);
        Commit(clear: false);
        clone = new(Records, id) { Now = Now, Tamper = Tamper };
        return status;
    }

    /// <summary>Removes the records of a drive that is being deleted, and its pin on this one.</summary>
    public Status Forget(TestDrive clone)
    {
        batch.Clear();
        Status status = DeleteDrive.Forget(clone.State, Begin(), batch);
        if (status == Status.Ok) { Commit(clear: false); }
        return status;
    }

    /// <summary>Runs an operation that works in steps to its end, each step in a transaction of its own.</summary>
    /// <returns>How many steps it took.</returns>
    public int RunSteps(Func<DriveTransaction, bool> step, bool restores = false)
    {
        bool more = true;
        int steps = 0;
        for (; more; steps++)
        {
            Assert.True(steps < 100_000, "The steps come to no end.");
            Assert.Equal(Status.Ok, Run(
                transaction =>
                {
                    more = step(transaction);
                    return Status.Ok;
                },
                restores));
        }

        return steps;
    }

    /// <summary>Does some steps of flattening, from where the last ones came to; none left: begins anew.</summary>
    /// <returns>The drive is flat, or was never a clone.</returns>
    public bool Flatten(int steps, int recordsPerStep = Core.Flatten.RecordsPerStep)
    {
        for (int step = 0; step < steps; step++)
        {
            RecordKey from = flattened ?? Core.Flatten.Start;
            RecordKey? next = null;
            Assert.Equal(Status.Ok, Run(transaction => Core.Flatten.Apply(from, transaction, out next, recordsPerStep)));
            flattened = next;
            if (next is null) { break; }
        }

        return State.Policy.Inherited.IsEmpty;
    }

    /// <summary>Cuts the chain of origins behind a flat one.</summary>
    public void TrimOrigins() => Assert.Equal(Status.Ok, Run(transaction => Core.Flatten.Trim(
        id => DriveCatalog.Read(Records).Find(id)!.Policy.IsFlat, transaction)));

    /// <summary>Replaces what the owner of the drive's shard keeps of it.</summary>
    public void Accept(DriveState state, DriveCounters counters)
    {
        State = state;
        Counters = counters;
    }

    private void Commit(bool clear = true)
    {
        if (clear) { batch.Clear(); }
        transaction.Build(batch);
        Tamper?.Invoke(batch);
        Records.Apply(batch);
        State = transaction.State;
        Counters = transaction.Counters;
    }

    private void Reserve()
    {
        IdMarks next = Counters.Next;
        IdMarks reserved = new(
            next.Cow + ReservedIds, next.VNode + ReservedIds, next.Block + ReservedIds, next.Session + ReservedIds);
        batch.Clear();
        DriveRecords.Reserve(State.Drive, reserved, batch);
        Records.Apply(batch);
        Counters = Counters with { Reserved = reserved };
    }
}
