using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Replication;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Node.Tests.Replication;

/// <summary>Streams to nodes whose addresses are wrong at first.</summary>
[Collection(AloneCollection.Name)]
public sealed class PeerLinksTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task An_address_that_cannot_be_dialled_is_tried_again_and_may_be_mended()
    {
        await using TestPool pool = await TestPool.StartAsync(nodes: 2);
        PoolMap map = pool[new(1)].Map;
        PoolMap wrong = PoolMapChange.Describe(map, new(1), ["wrong:1"], "", PoolLimits.NormalWeight).Map!;
        PoolMap right = PoolMapChange.Describe(wrong, new(1), [pool.AddressOf(new(1))], "", PoolLimits.NormalWeight).Map!;
        TaskCompletionSource again = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource dialled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int failed = 0;
        await using PeerLinks links = new(map.Pool, new(new(2), TestPool.DiskOf(new(2)), TestPool.BootOf(1)), Dial, NullLogger.Instance);
        await links.FollowAsync(wrong);
        await again.Task.WaitAsync(s_patience);
        await links.FollowAsync(right);
        await dialled.Task.WaitAsync(s_patience);

        GrpcChannel Dial(PoolNode node)
        {
            if (node.Addresses[0] == "wrong:1")
            {
                if (++failed == 2) { again.TrySetResult(); }
                throw new FormatException("this is no address");
            }

            dialled.TrySetResult();
            return new(GrpcTarget.UnixSocket(node.Addresses[0]), new() { CallLimits = WireReplication.Limits });
        }
    }
}
