using KvFs.Core;

namespace KvFs.Node.Tests.Replication;

/// <summary>Copies that were away get what they lack, however large it is.</summary>
[Collection(AloneCollection.Name)]
public sealed class CatchingUpTests
{
    private static readonly ShardId s_shard = new(0);

    [Fact]
    public async Task Large_entries_that_a_copy_lacks_come_in_messages_that_it_can_store()
    {
        await using TestPool pool = await TestPool.StartAsync(nodes: 3);
        DriveId drive = pool.DriveOn(s_shard);
        TestMember primary = await pool.PrimaryOfAsync(s_shard);
        NodeId away = pool.Members.First(member => member != primary).Process.Node;
        string image = await pool.KillAsync(away);

        // Each fits the store's journal, and two of them do not; so none of these pairs may come as one write.
        int[] sizes = [7 << 20, 12 << 20, 6 << 20, 15 << 20];
        for (int at = 0; at < sizes.Length; at++)
        {
            Status status;
            do
            {
                primary = await pool.PrimaryOfAsync(s_shard);
                status = primary.LogOf(s_shard).Commit(drive, TestPool.Put(drive, (ulong)at, new byte[sizes[at]]));
            }
            while (status is Status.StaleEpoch or Status.Unknown);
            Assert.Equal(Status.Ok, status);
        }

        await pool.StartAsync(away, image);
        await pool.HealthyAsync(s_shard);
        await TestPool.UntilAsync(() => Task.FromResult(pool[away].Read(drive, (ulong)sizes.Length - 2)), "it does not apply what it got");
        for (int at = 0; at < sizes.Length - 1; at++) { Assert.Equal(sizes[at], pool[away].Read(drive, (ulong)at)!.Length); }
    }
}
