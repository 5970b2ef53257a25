using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Core.Tests;

/// <summary>One drive over records in memory: runs operations as the driver of its shard does.</summary>
/// <remarks>Reserves ids by the thousand, builds a batch of each transaction whose operations all answered Ok, and applies
/// it; each transaction is one second later than the one before.</remarks>
public sealed class TestDrive
{
    private const ulong ReservedIds = 1000;

    private readonly DriveTransaction transaction = new();
    private readonly RecordBatch batch = new();

    /// <summary>Takes a drive that is in the records already.</summary>
    public TestDrive(MemoryRecords records, DriveState state, DriveCounters counters)
    {
        Records = records;
        State = state;
        Counters = counters;
    }

    /// <summary>A new drive: nothing but a root directory.</summary>
    public TestDrive(ulong quotaBytes = 0, ulong quotaInodes = 0)
        : this(
            new(),
            new(
                new(1),
                new("test", DriveKind.FileSystem, DriveFlags.None, quotaBytes, quotaInodes, default, []),
                []),
            new() { Next = new(1, 1, 1, 1), Reserved = new(1, 1, 1, 1) })
    {
        Status made = Run((DriveTransaction t) =>
        {
            Status status = t.AllocateVNode(out VNodeId root);
            Assert.Equal(VNodeId.Root, root);
            t.PutVNode(root, new()
            {
                Kind = VNodeKind.Directory,
                Mode = 0b111_101_101,
                Nlink = 2,
                Parent = root,
                DataVersion = t.Cow,
            });
            return status == Status.Ok ? t.ChargeInodes(1) : status;
        });
        Assert.Equal(Status.Ok, made);
    }

    public MemoryRecords Records { get; }

    public DriveState State { get; private set; }

    public DriveCounters Counters { get; private set; }

    /// <summary>The time of the last transaction.</summary>
    public Timestamp Now { get; private set; }

    /// <summary>What others have set aside.</summary>
    public Reservation ReservedByOthers { get; set; }

    /// <summary>Changes a batch before it is applied: for planted bugs.</summary>
    public Action<RecordBatch>? Tamper { get; set; }

    public DriveView Head => ViewAt(CowNumber.Head);

    public DriveView ViewAt(CowNumber at) => new StoredDriveView(Records, State, at);

    /// <summary>Runs operations as one transaction: applied if the answer is Ok, else forgotten.</summary>
    public Status Run(Func<DriveTransaction, Status> operations)
    {
        Reserve();
        Now = new(Now.Nanoseconds + 1_000_000_000);
        Assert.Equal(Status.Ok, transaction.Begin(State, Counters, Records, Now, ReservedByOthers));
        Status status = operations(transaction);
        if (status != Status.Ok) { return status; }
        batch.Clear();
        transaction.Build(batch);
        Tamper?.Invoke(batch);
        Records.Apply(batch);
        State = transaction.State;
        Counters = transaction.Counters;
        return status;
    }

    /// <summary>Takes over what a transaction that somebody else built left behind.</summary>
    public void Accept(DriveState state, DriveCounters counters)
    {
        State = state;
        Counters = counters;
    }

    private void Reserve()
    {
        DriveCounters counters = Counters;
        IdMarks next = counters.Next;
        counters.Reserved = new(
            next.Cow + ReservedIds, next.VNode + ReservedIds, next.Block + ReservedIds, next.Session + ReservedIds);
        Counters = counters;
    }
}
