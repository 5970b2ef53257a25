using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Drives;

/// <summary>The locks of one drive: the table that decides, the records that a takeover reads, and who waits.</summary>
/// <remarks>Thread safe: the shard's gate guards it. A waiter is answered from the thread that made way for it, never with the
/// gate held by its continuation.</remarks>
public sealed class DriveLocks(HostedDrive drive)
{
    /// <summary>Changes of one transaction.</summary>
    private const int RecordedAtOnce = 4096;

    private readonly LockTable table = new();
    private readonly LockEffects effects = new();
    private readonly Dictionary<ulong, TaskCompletionSource<Status>> waiters = [];

    /// <summary>What the table has and the records have not, by what a record is of: it goes with the next change.</summary>
    private readonly Dictionary<(VNodeId Node, LockSpace Space, LockOwner Owner, ulong Start), LockChange> unrecorded = [];
    private ulong lastWaiter;

    /// <summary>Knows the locks that are recorded: of sessions that go on under a new primary.</summary>
    public void TakeOver()
    {
        using (drive.Shard.Enter())
        {
            _ = drive.Read(
                CowNumber.Head,
                static (DriveView view, LockTable into, out bool done) =>
                {
                    done = true;
                    LockRecords.Load(view, into);
                    return Status.Ok;
                },
                table,
                out bool _);
        }
    }

    /// <summary>The lock that is in the way, or one of type Unlock.</summary>
    public FileLock Test(VNodeId node, LockSpace space, FileLock wanted)
    {
        using (drive.Shard.Enter()) { return table.Test(node, space, wanted); }
    }

    /// <summary>Sets, changes or removes a lock now, or not at all.</summary>
    public Status Set(VNodeId node, LockSpace space, FileLock wanted)
    {
        using (drive.Shard.Enter())
        {
            effects.Clear();
            Status status = table.Set(node, space, wanted, effects);
            Status recorded = Carry();
            return status == Status.Ok ? recorded : status;
        }
    }

    /// <summary>The same, but waits until it is granted or the token is cancelled (Interrupted).</summary>
    public ValueTask<Status> SetOrWaitAsync(
        VNodeId node, LockSpace space, FileLock wanted, CancellationToken cancellationToken)
    {
        ulong waiter;
        TaskCompletionSource<Status> answer;
        using (drive.Shard.Enter())
        {
            waiter = ++lastWaiter;
            effects.Clear();
            Status status = table.Wait(node, space, wanted, waiter, effects);
            Status recorded = Carry();
            if (status != Status.Locked) { return new(status == Status.Ok ? recorded : status); }
            answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
            waiters.Add(waiter, answer);
        }

        return WaitAsync(waiter, answer, cancellationToken);
    }

    /// <summary>Removes all range locks of an owner on a file.</summary>
    public Status UnlockAll(VNodeId node, LockOwner owner)
    {
        using (drive.Shard.Enter())
        {
            if (table.IsEmpty && unrecorded.Count == 0) { return Status.Ok; }
            effects.Clear();
            table.UnlockAll(node, owner, effects);
            return Carry();
        }
    }

    /// <summary>A session has ended: its locks and waiters go.</summary>
    public void Expire(SessionId session)
    {
        using (drive.Shard.Enter())
        {
            effects.Clear();
            table.Expire(session, effects);
            Carry();
        }
    }

    private async ValueTask<Status> WaitAsync(
        ulong waiter, TaskCompletionSource<Status> answer, CancellationToken cancellationToken)
    {
        await using CancellationTokenRegistration registration = cancellationToken.Register(() => Cancel(waiter));
        return await answer.Task;
    }

    private void Cancel(ulong waiter)
    {
        using (drive.Shard.Enter())
        {
            effects.Clear();
            if (!table.Cancel(waiter, effects)) { return; }
            Carry();
            Answer(waiter, Status.Interrupted);
        }
    }

    /// <summary>Records what changed, then answers who was waiting for it.</summary>
    /// <returns>StaleEpoch: another node is about to be the primary, and does not know of the change. Who asks again is answered by that one;
    /// or by this one, if it stays: then the change is recorded first.</returns>
    private Status Carry()
    {
        foreach (LockChange change in effects.Changes)
        {
            unrecorded[RecordOf(change)] = change;
        }

        Status status = Record();

        // A record that a full disk refuses is not missed before this primary is gone.
        if (status is Status.NoSpace or Status.Unknown && drive.Shard.CanServe) { status = Status.Ok; }
        foreach (ulong granted in effects.Granted) { Answer(granted, status); }
        foreach (ulong dropped in effects.Dropped) { Answer(dropped, Status.SessionExpired); }
        return status;
    }

    /// <summary>Records what is not recorded yet, in transactions of bounded size.</summary>
    private Status Record()
    {
        foreach (LockChange[] some in unrecorded.Values.ToArray().Chunk(RecordedAtOnce))
        {
            Status status = drive.Transact(
                default,
                static (in LockChange[] changes, DriveTransaction transaction, out bool done) =>
                {
                    LockRecords.Write(changes, transaction);
                    done = true;
                    return Status.Ok;
                },
                some,
                SpaceUse.Release,
                out bool _);
            if (status != Status.Ok) { return status; }
            foreach (LockChange change in some) { unrecorded.Remove(RecordOf(change)); }
        }

        return Status.Ok;
    }

    /// <summary>What tells the record of a lock from others.</summary>
    private static (VNodeId Node, LockSpace Space, LockOwner Owner, ulong Start) RecordOf(in LockChange change) =>
        (change.Node, change.Space, change.Lock.Owner, change.Lock.Start);

    private void Answer(ulong waiter, Status status)
    {
        if (waiters.Remove(waiter, out TaskCompletionSource<Status>? answer)) { answer.SetResult(status); }
    }
}
