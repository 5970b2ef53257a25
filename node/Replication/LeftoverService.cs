using System.Runtime.Versioning;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Remote;
using KvFs.Node.Storage;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Tells nodes which of what they have left is of no use any more: FindLeftovers of replication.proto.</summary>
/// <remarks>Only a primary whose lease holds says so, of what it finds in its own records: what nobody vouches for is kept.</remarks>
/// <param name="driver">Knows what this node is primary of.</param>
/// <param name="map">Knows how many copies there are to be.</param>
/// <param name="store">Has the records.</param>
/// <param name="isWell">Whether this node knows of no block that no copy has whole, or that a copy lacks: somebody's leftover may have it.</param>
[SupportedOSPlatform("linux")]
internal sealed class LeftoverService(ReplicationDriver driver, MapKeeper map, IKeyValueReader store, Func<bool> isWell) : IDisposable
{
    /// <summary>Drives of one request: each costs a seek.</summary>
    internal const int MaxDrives = 4096;

    /// <summary>Requests that are worked on at once: they go behind what clients want.</summary>
    private const int Threads = 1;

    private readonly RequestThreads threads = new(Threads);

    public void AddTo(GrpcServices services) => services.Unary(
        BlockCopyMethods.FindLeftovers,
        async (V1.FindLeftoversRequest request, ServerCall _) => await threads.RunAsync(() => new ValueTask<V1.FindLeftoversReply>(Find(request))));

    public void Dispose() => threads.Dispose();

    /// <summary>What a node may remove.</summary>
    /// <exception cref="GrpcException">InvalidArgument: the request makes no sense.</exception>
    internal V1.FindLeftoversReply Find(V1.FindLeftoversRequest request)
    {
        bool isSane = request.Shards.Count == request.Epochs.Count
            && request.Drives.Count <= MaxDrives && request.Drives.All(static drive => drive.Length == DriveId.Size);
        if (!isSane) { throw new GrpcException(GrpcStatusCode.InvalidArgument, "shards and epochs go together, and a RUID has 16 bytes"); }
        V1.FindLeftoversReply reply = new();
        int copies = map.Map.Settings.Replicas;
        for (int at = 0; at < request.Shards.Count && isWell(); at++)
        {
            ShardId shard = WireReplication.ToShard(request.Shards[at]);
            if (driver.IsWholeWithout(shard, new(request.Node), new(request.Epochs[at]), copies)) { reply.Shards.Add(request.Shards[at]); }
        }

        foreach (Google.Protobuf.ByteString drive in request.Drives)
        {
            if (IsGone(DriveId.Read(drive.Span))) { reply.Drives.Add(drive); }
        }

        return reply;
    }

    /// <summary>Whether this node knows that a drive is deleted. After a shard was begun anew from a stale copy nobody knows that of its
    /// drives.</summary>
    private bool IsGone(DriveId drive)
    {
        ShardId home = HomeShard.Of(drive, map.Map.Shards.Length);
        if (driver.HasLoss(home) || ShardRecords.Has(store, drive)) { return false; }

        // The lease is looked at after the records: they were the newest then, and no drive was being made.
        return driver.HasAllRecords(home);
    }
}
