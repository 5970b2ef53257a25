using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>The service of pool.proto.</summary>
/// <param name="map">The newest map that is known here.</param>
internal sealed class PoolService(Func<PoolMap> map)
{
    public void AddTo(GrpcServices services) =>
        services.Unary(PoolMethods.GetMap, (request, call) => new ValueTask<V1.PoolMapReply>(map().ToWire()));
}
