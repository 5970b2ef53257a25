using KvFs.Core;
using KvFs.Node.Shards;

namespace KvFs.Node.Tests.Maintenance;

/// <summary>A real log of a primary that may be about to hand over: it answers, and takes no entry. Or whose copies are slow: entries are on their
/// way until a test says that they are there, or that the reign is over.</summary>
internal sealed class SteeredLog(IShardLog log) : IShardLog
{
    // Not a Lock: who waits for an entry waits for pulses of it.
    private readonly object gate = new();
    private readonly Queue<(DriveId Drive, RecordBatch Changes)> inFlight = [];
    private bool isOver;

    public bool IsLeaving { get; set; }

    /// <summary>Entries wait for <see cref="Arrive"/>.</summary>
    public bool IsSlow { get; set; }

    public int InFlight
    {
        get
        {
            lock (gate) { return inFlight.Count; }
        }
    }

    public Epoch Epoch => log.Epoch;

    public bool IsBroken => log.IsBroken;

    public LogIndex Published => log.Published;

    public LogPosition Position => log.Position;

    public bool IsOwed => log.IsOwed;

    public bool CanServe => !isOver && log.CanServe;

    public bool Has(LogPosition answered) => log.Has(answered);

    public Status Resume() => isOver ? Status.StaleEpoch : log.Resume();

    /// <summary>The oldest entries are at all copies, and are applied.</summary>
    public void Arrive(int count)
    {
        lock (gate)
        {
            for (int at = 0; at < count; at++)
            {
                (DriveId drive, RecordBatch changes) = inFlight.Dequeue();
                Assert.Equal(Status.Ok, log.Commit(drive, changes));
            }

            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Another node is primary; nobody here knows what becomes of the entries.</summary>
    public void End()
    {
        lock (gate)
        {
            isOver = true;
            Monitor.PulseAll(gate);
        }
    }

    public Status Begin(DriveId drive, RecordBatch changes, bool wantsDurable, out LogIndex index)
    {
        index = default;
        if (IsLeaving || isOver) { return Status.StaleEpoch; }
        lock (gate)
        {
            if (!IsSlow && inFlight.Count == 0) { return log.Begin(drive, changes, wantsDurable, out index); }
            RecordBatch copy = new();
            copy.Append(changes);
            inFlight.Enqueue((drive, copy));
            index = new(log.Published.Value + (ulong)inFlight.Count);
            return Status.Ok;
        }
    }

    public Status Await(LogIndex index)
    {
        lock (gate)
        {
            while (log.Published < index && !isOver) { Monitor.Wait(gate); }
            return log.Published < index ? Status.Unknown : Status.Ok;
        }
    }

    public Status Sync(LogIndex upTo) => log.Sync(upTo);
}
