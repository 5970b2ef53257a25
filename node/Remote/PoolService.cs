using System.Runtime.Versioning;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Replication;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>The service of pool.proto.</summary>
[SupportedOSPlatform("linux")]
internal sealed class PoolService(PoolMemberNode node, ReplicationDriver driver)
{
    public void AddTo(GrpcServices services)
    {
        services.Unary(PoolMethods.GetMap, (_, _) => new ValueTask<V1.PoolMapReply>(node.Map.ToWire()));
        services.Unary(PoolMethods.GetActivity, (_, _) => new ValueTask<V1.ActivityReply>(node.GetActivity().ToWire()));
        services.Unary(PoolMethods.GetCopy, (request, _) => new ValueTask<V1.ShardCopyReply>(
            driver.CopyOf(WireReplication.ToShard(request.Shard)).ToWire()));
        services.Unary(PoolMethods.HandOver, (request, _) => new ValueTask<V1.HandOverReply>(new V1.HandOverReply
        {
            Status = driver.HandOver(WireReplication.ToShard(request.Shard), new(request.Node)).ToWire(),
        }));
        services.Unary(PoolMethods.GetCopies, (_, _) => new ValueTask<V1.CopiesReply>(node.GetCopies().ToWire()));
        services.Unary(PoolMethods.GetKnownMap, (_, _) => new ValueTask<V1.KnownMapReply>(
            new KnownMap(node.Process.Node, node.Map).ToWire(node.Refusal)));
        services.Unary(PoolMethods.GetHealth, (_, _) => new ValueTask<V1.NodeHealthReply>(node.GetHealth().ToWire()));
    }
}
