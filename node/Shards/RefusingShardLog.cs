using KvFs.Core;

namespace KvFs.Node.Shards;

/// <summary>Stands for the log of a shard that another node is primary of.</summary>
public sealed class RefusingShardLog : IShardLog
{
    public static readonly RefusingShardLog Instance = new();

    private RefusingShardLog()
    {
    }

    public Epoch Epoch => default;

    public bool IsBroken => false;

    public LogIndex Published => default;

    public LogPosition Position => default;

    public bool IsOwed => false;

    public bool CanServe => false;

    public bool Has(LogPosition answered) => false;

    public Status Resume() => Status.StaleEpoch;

    public Status Begin(DriveId drive, RecordBatch changes, bool wantsDurable, out LogIndex index)
    {
        index = default;
        return Status.StaleEpoch;
    }

    public Status Await(LogIndex index) => Status.StaleEpoch;

    public Status Sync(LogIndex upTo) => Status.StaleEpoch;
}
