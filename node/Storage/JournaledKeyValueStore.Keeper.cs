using KvFs.Core;

namespace KvFs.Node.Storage;

/// <remarks>What keeps the journal going: the next file, and flushes of the tables.</remarks>
public sealed partial class JournaledKeyValueStore
{
    /// <summary>How long the keeper waits until it tries again what found no space.</summary>
    private static readonly TimeSpan s_retryAfter = TimeSpan.FromSeconds(1);

    // Under the gate.
    private int waitingPayload;
    private int waiting;
    private Status kept = Status.Ok;
    private bool isStopping;

    private bool NeedsKeeping => waiting > 0 || journal.WantsSegment || journal.WantsFlush;

    /// <summary>Looks after the journal once, as the keeper does. Not by two threads at a time.</summary>
    /// <returns>Ok; NoSpace: try again later; IoError: the store is latched.</returns>
    internal Status Maintain()
    {
        Status status = Prepare(out bool isShort);
        if (status is Status.Ok or Status.NoSpace)
        {
            Status flushed = FlushTables(isShort || status == Status.NoSpace);
            if (flushed != Status.Ok) { status = flushed; }
            else if (isShort || status == Status.NoSpace) { status = Prepare(out _); }
        }

        lock (gate)
        {
            kept = status;
            Monitor.PulseAll(gate);
        }

        return status;
    }

    private void Keep()
    {
        try
        {
            while (IsNeeded()) { Maintain(); }
        }
#pragma warning disable CA1031 // Whatever it is: without its keeper the journal takes nothing any more, and says why.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            Fail("Keeping the journal of", failure.ToString());
            lock (gate) { Monitor.PulseAll(gate); }
        }
    }

    /// <summary>Waits until there is something to do; false: the store is being closed.</summary>
    private bool IsNeeded()
    {
        lock (gate)
        {
            if (kept != Status.Ok && !isStopping) { Monitor.Wait(gate, s_retryAfter); }
            while (!isStopping && (latch.IsFailed || !NeedsKeeping)) { Monitor.Wait(gate); }
            return !isStopping;
        }
    }

    /// <summary>Prepares the next segment, if it is wanted.</summary>
    /// <param name="isShort">It is wanted, and there is no room for it before a flush.</param>
    private Status Prepare(out bool isShort)
    {
        isShort = false;
        JournalSegment? segment;
        int bytes;
        lock (gate)
        {
            if (latch.IsFailed) { return Status.IoError; }
            if (waiting == 0 && !journal.WantsSegment) { return Status.Ok; }
            Status taken = journal.TakeForPreparation(waitingPayload, out segment, out bytes);
            if (taken != Status.Ok) { return Fail("Removing a file of the journal of", taken.ToString()); }
            isShort = segment is null && bytes == 0 && !journal.HasReady;
        }

        if (segment is null && bytes == 0) { return Status.Ok; }
        bool isMade = segment is null;
        Status status = journal.Prepare(ref segment, bytes);
        lock (gate)
        {
            journal.OnPrepared(segment, isMade, status);
            Monitor.PulseAll(gate);
        }

        return status is Status.Ok or Status.NoSpace ? status : Fail("Preparing a file of the journal of", status.ToString());
    }

    private Status FlushTables(bool isNeeded)
    {
        ulong upTo;
        long used;
        lock (gate)
        {
            if (latch.IsFailed) { return Status.IoError; }
            if (!isNeeded && !journal.WantsFlush) { return Status.Ok; }
            Status told = TellWithdrawn();
            if (told != Status.Ok) { return told; }
            upTo = journal.Last;
            used = journal.UsedBytes;
        }

        Status status = tables.Flush(out string? failure);
        if (status == Status.NoSpace) { return status; }
        if (status != Status.Ok) { return Fail("Flushing", $"{status} {failure}"); }
        lock (gate)
        {
            journal.Release(upTo, used, isShort: waiting > 0);
            Monitor.PulseAll(gate);
        }

        return Status.Ok;
    }

    /// <summary>Has the tables know of the numbers that were withdrawn last, before the files that have them are used again:
    /// else the next start would miss them. With the gate held.</summary>
    private Status TellWithdrawn()
    {
        if (marked == journal.Last) { return Status.Ok; }
        Status status = OnWritten(
            tables.Write(new KeyValueBatch(), new JournalMark(journal.Last, journalId), out string? failure), failure);
        if (status == Status.Ok) { marked = journal.Last; }
        return status;
    }

    /// <summary>Waits, with the gate held, until the journal has room for so much payload. Ok, NoSpace, or IoError: latched.
    /// </summary>
    private Status WaitForRoom(int payloadBytes)
    {
        if (journal.TryMakeRoom(payloadBytes)) { return Status.Ok; }
        waiting++;
        waitingPayload = Math.Max(waitingPayload, payloadBytes);
        Status status = Status.Ok;
        kept = Status.Ok;
        while (!journal.TryMakeRoom(payloadBytes))
        {
            status = latch.IsFailed ? Status.IoError : kept;
            if (status != Status.Ok) { break; }
            if (keeper is null)
            {
                status = Maintain();
                if (status != Status.Ok) { break; }
                continue;
            }

            Monitor.PulseAll(gate);
            Monitor.Wait(gate);
        }

        waiting--;
        if (waiting == 0) { waitingPayload = 0; }
        return journal.TryMakeRoom(payloadBytes) ? Status.Ok : status;
    }
}
