using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Replication;

/// <summary>Syncs the store's journal for all shards that want it: one sync for as many as have asked meanwhile.</summary>
internal sealed class LogSyncer : IDisposable
{
    private readonly Lock gate = new();
    private readonly IKeyValueStore store;
    private readonly RecordedFirst first;
    private readonly Action<IReadOnlyList<ShardId>, Status> synced;
    private readonly AutoResetEvent wake = new(false);
    private readonly Thread thread;
    private List<ShardId> wanted = [];
    private bool isRecordWanted;
    private volatile bool isStopping;

    /// <param name="store">Whose journal.</param>
    /// <param name="first">What is in it before all that is synced.</param>
    /// <param name="synced">Is told, on the syncer's thread, whose entries are on disk that were stored before they were
    /// wanted.</param>
    public LogSyncer(IKeyValueStore store, RecordedFirst first, Action<IReadOnlyList<ShardId>, Status> synced)
    {
        this.store = store;
        this.first = first;
        this.synced = synced;
        thread = new(Run) { Name = "kvfs-log-sync", IsBackground = true };
        thread.Start();
    }

    /// <summary>Wants what is stored of a shard's log by now on disk.</summary>
    public void Want(ShardId shard)
    {
        lock (gate) { wanted.Add(shard); }
        wake.Set();
    }

    /// <summary>Wants on disk what is to be there first, also if nothing follows it.</summary>
    public void WantRecord()
    {
        lock (gate) { isRecordWanted = true; }
        wake.Set();
    }

    public void Dispose()
    {
        isStopping = true;
        wake.Set();
        thread.Join();
        wake.Dispose();
    }

    private void Run()
    {
        while (true)
        {
            wake.WaitOne();
            if (isStopping) { return; }
            List<ShardId> shards;
            bool isRecord;
            lock (gate)
            {
                (shards, wanted) = (wanted, []);
                (isRecord, isRecordWanted) = (isRecordWanted, false);
            }

            if (shards.Count == 0 && !isRecord) { continue; }

            // What cannot be written now, on a full disk, is written before anything else is.
            _ = first.Write();
            synced(shards, store.SyncLog());
        }
    }
}
