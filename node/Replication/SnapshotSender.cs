using Google.Protobuf;
using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Sends all that a shard's log led to, in parts, at the receiver's pace.</summary>
/// <remarks>Thread safe. To each node at most one snapshot of a shard is under way; who asks for another one meanwhile gets
/// that. One that gets stuck, because the receiver is gone, is given up.</remarks>
internal sealed class SnapshotSender(IKeyValueStore store, ReplicationOptions options, IPeerSender peers) : IDisposable
{
    private const int PartBytes = 1 << 20;

    /// <summary>Bytes that may wait for a receiver.</summary>
    private const long WindowBytes = 8 << 20;

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(10);

    private readonly Lock gate = new();
    private readonly Dictionary<(NodeId, ShardId), Task> underWay = [];
    private readonly CancellationTokenSource stop = new();

    /// <summary>Begins to send what is applied at this moment, as its message says. The driver's lock is held, so nothing is
    /// applied meanwhile.</summary>
    public void Start(NodeId to, ShardSnapshot message)
    {
        lock (gate)
        {
            if (stop.IsCancellationRequested || underWay.ContainsKey((to, message.Shard))) { return; }
            IKeyValueSnapshot records = store.CreateSnapshot();
            underWay.Add((to, message.Shard), Task.Run(() => RunAsync(to, message, records)));
        }
    }

    public void Dispose()
    {
        Task[] left;
        lock (gate)
        {
            stop.Cancel();
            left = [.. underWay.Values];
        }

        Task.WaitAll(left);
        stop.Dispose();
    }

    private async Task RunAsync(NodeId to, ShardSnapshot message, IKeyValueSnapshot records)
    {
        try
        {
            RecordBatch part = new();
            uint number = 0;
            foreach (DriveId drive in ShardRecords.DrivesOf(records, message.Shard, options.ShardCount))
            {
                (byte[] from, byte[] end) = ShardRecords.RangeOf(drive);
                using IRecordCursor cursor = records.OpenCursor(Family.Namespace, from, end);
                while (cursor.MoveNext())
                {
                    part.Put(cursor.Key, cursor.Value);
                    if (part.ByteCount < PartBytes) { continue; }
                    await SendAsync(isLast: false);
                }
            }

            await SendAsync(isLast: true);

            async Task SendAsync(bool isLast)
            {
                while (peers.WaitingBytes(to) > WindowBytes) { await Task.Delay(s_pause, stop.Token); }
                stop.Token.ThrowIfCancellationRequested();
                V1.SnapshotPart sent = new()
                {
                    Shard = message.Shard.Value,
                    Epoch = message.Epoch.Value,
                    At = message.At.ToWire(),
                    Number = number,
                    Records = ByteString.CopyFrom(part.Bytes),
                    Crc32C = Crc32C.Compute(part.Bytes),
                    IsLast = isLast,
                };
                if (number == 0) { sent.EndedBefore.AddRange(message.EndedBefore.ToWire()); }
                number++;
                peers.Send(to, new() { SnapshotPart = sent });
                part.Clear();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or StorageException)
        {
            // The receiver asks again, and so finds out what the store says next.
        }
        finally
        {
            records.Dispose();
            lock (gate) { underWay.Remove((to, message.Shard)); }
        }
    }
}
