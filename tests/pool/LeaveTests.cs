using KvFs.Core;
using KvFs.Node;

namespace KvFs.Pool.Tests;

/// <summary>A node that is stopped politely.</summary>
public sealed class LeaveTests
{
    /// <summary>A successor that saw both changes at once would have missed a reign, and would wait out leases. The others look at the map
    /// seldom here: so both are there when they do, if the node does not wait for them.</summary>
    [Fact]
    public async Task It_is_left_out_only_when_all_others_have_seen_what_it_handed_over()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3, laterPoll: TimeSpan.FromMilliseconds(400));
        PoolMemberNode leaving = world.Nodes.First();
        PoolMemberNode[] others = [.. world.Nodes.Where(node => node != leaving)];
        Assert.Contains(leaving.Map.Shards, Leads);
        int leftOut = 0;
        int unaware = 0;
        world.Authority.Swapping = next =>
        {
            if (next.Shards.Any(shard => shard.IsInSync(leaving.Process.Node))) { return; }
            Interlocked.Increment(ref leftOut);
            Interlocked.Add(ref unaware, others.Count(node => node.Map.Shards.Any(Leads)));
        };
        await leaving.LeaveAsync();
        Assert.True(leftOut > 0);
        Assert.Equal(0, unaware);
        int number = world.NumberOf(leaving);
        await world.StopAsync(leaving);
        await world.StartNodeAsync(number);
        await world.WholeAsync();

        bool Leads(ShardEntry shard) => shard.Primary == leaving.Process.Node;
    }
}
