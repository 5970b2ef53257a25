using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>The service of pool.proto.</summary>
/// <param name="map">The newest map that is known here.</param>
/// <param name="health">How the blocks here are.</param>
internal sealed class PoolService(Func<PoolMap> map, Func<NodeHealth> health)
{
    public void AddTo(GrpcServices services)
    {
        services.Unary(PoolMethods.GetMap, (request, call) => new ValueTask<V1.PoolMapReply>(map().ToWire()));
        services.Unary(PoolMethods.GetHealth, (request, call) => new ValueTask<V1.NodeHealthReply>(health().ToWire()));
    }
}
