using KvFs.Core;
using KvFs.Node.Shards;

namespace KvFs.Node.Tests.Maintenance;

/// <summary>A real log of a primary that may be about to hand over: it answers, and takes no entry.</summary>
internal sealed class LeavingLog(IShardLog log) : IShardLog
{
    public bool IsLeaving { get; set; }

    public Epoch Epoch => log.Epoch;

    public bool IsBroken => log.IsBroken;

    public LogIndex Published => log.Published;

    public LogPosition Position => log.Position;

    public bool IsOwed => log.IsOwed;

    public bool CanServe => log.CanServe;

    public bool Has(LogPosition answered) => log.Has(answered);

    public Status Resume() => log.Resume();

    public Status Commit(DriveId drive, RecordBatch changes, bool wantsDurable = false) =>
        IsLeaving ? Status.StaleEpoch : log.Commit(drive, changes, wantsDurable);

    public Status Sync() => log.Sync();
}
