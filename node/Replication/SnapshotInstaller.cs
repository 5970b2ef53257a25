using System.Collections.Concurrent;
using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Replication;

/// <summary>Puts snapshots in the place of what shards have, on a thread of its own: it may take long, and the other shards go on.
/// </summary>
/// <remarks>One after the other, so that the disk is left to the others as well. Nobody else uses the log of a shard until its
/// snapshot is in place.</remarks>
internal sealed class SnapshotInstaller : IDisposable
{
    private readonly Action<InstallSnapshot, string?> installed;
    private readonly BlockingCollection<(ReplicaLog Log, InstallSnapshot Install, ReceivedSnapshot Snapshot)> waiting = [];
    private readonly CancellationTokenSource stop = new();
    private readonly Thread thread;

    /// <param name="installed">Is told, on this thread, which one is in place and on disk; or why it is not.</param>
    public SnapshotInstaller(Action<InstallSnapshot, string?> installed)
    {
        this.installed = installed;
        thread = new(Run) { Name = "kvfs-snapshots", IsBackground = true };
        thread.Start();
    }

    /// <summary>Has a snapshot put in place, and then disposes of it.</summary>
    public void Add(ReplicaLog log, InstallSnapshot install, ReceivedSnapshot snapshot) => waiting.Add((log, install, snapshot));

    /// <summary>Ends the thread. What is not in place by then leaves a shard of which nothing is there.</summary>
    public void Dispose()
    {
        stop.Cancel();
        thread.Join();
        while (waiting.TryTake(out (ReplicaLog, InstallSnapshot, ReceivedSnapshot Snapshot) left)) { left.Snapshot.Dispose(); }
        waiting.Dispose();
        stop.Dispose();
    }

    private void Run()
    {
        try
        {
            foreach ((ReplicaLog log, InstallSnapshot install, ReceivedSnapshot snapshot) in waiting.GetConsumingEnumerable(stop.Token))
            {
                using (snapshot) { installed(install, Install(log, install, snapshot)); }
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    /// <returns>Null: it is in place; else why not.</returns>
    private string? Install(ReplicaLog log, InstallSnapshot install, ReceivedSnapshot snapshot)
    {
        try
        {
            Status status = log.Install(install.At, install.EndedBefore, Paced(snapshot.Parts()), stop.Token);
            return status == Status.Ok ? null : $"writing a snapshot of shard {install.Shard}: {status}";
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            return failed.Message;
        }
    }

    /// <summary>Leaves as much time as each part takes to those who write for the other shards: the journal has room for some, and is emptied no
    /// sooner than the disk can.</summary>
    private IEnumerable<ReadOnlyMemory<byte>> Paced(IEnumerable<ReadOnlyMemory<byte>> parts)
    {
        foreach (ReadOnlyMemory<byte> part in parts)
        {
            long began = TimeProvider.System.GetTimestamp();
            yield return part;
            stop.Token.WaitHandle.WaitOne(TimeProvider.System.GetElapsedTime(began));
        }
    }
}
