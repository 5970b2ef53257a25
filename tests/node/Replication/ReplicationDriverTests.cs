using System.Text;
using KvFs.Core;

namespace KvFs.Node.Tests.Replication;

[Collection(AloneCollection.Name)]
public sealed class ReplicationDriverTests
{
    private static readonly ShardId s_shard = new(0);

    private static byte[] Value(ulong key) => Encoding.ASCII.GetBytes($"value {key}");

    [Fact]
    public async Task What_is_committed_is_on_every_copy()
    {
        await using TestPool pool = await TestPool.StartAsync(nodes: 3);
        DriveId drive = pool.DriveOn(s_shard);
        for (ulong key = 1; key <= 1000; key++) { Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, key)); }
        TestMember primary = await pool.PrimaryOfAsync(s_shard);
        Assert.Equal(Status.Ok, primary.LogOf(s_shard).Sync());
        foreach (TestMember member in pool.Members)
        {
            // The others are told what is committed with the next message.
            await TestPool.UntilAsync(() => Task.FromResult(member.Read(drive, 1000)), "the last entry was not applied");
            for (ulong key = 1; key <= 1000; key++) { Assert.Equal(Value(key), member.Read(drive, key)); }
        }
    }

    [Fact]
    public async Task Only_the_primary_takes_entries()
    {
        await using TestPool pool = await TestPool.StartAsync(nodes: 3);
        TestMember primary = await pool.PrimaryOfAsync(s_shard);
        DriveId drive = pool.DriveOn(s_shard);
        foreach (TestMember member in pool.Members.Where(member => member != primary))
        {
            Assert.Equal(Status.StaleEpoch, Commit(member, drive, 1));
            Assert.False(member.LogOf(s_shard).CanServe);
        }
    }

    [Fact]
    public async Task What_was_acknowledged_survives_the_death_of_its_primary_again_and_again()
    {
        await using TestPool pool = await TestPool.StartAsync(nodes: 3);
        DriveId drive = pool.DriveOn(s_shard);
        ulong key = 0;
        for (int round = 0; round < 3; round++)
        {
            for (int at = 0; at < 100; at++) { Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, ++key)); }
            TestMember primary = await pool.PrimaryOfAsync(s_shard);
            NodeId dead = primary.Process.Node;
            string image = await pool.KillAsync(dead);
            TestMember next = await pool.PrimaryOfAsync(s_shard);
            for (ulong known = 1; known <= key; known++) { Assert.Equal(Value(known), next.Read(drive, known)); }
            Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, ++key));

            // The dead one comes back, and is a copy as the others are.
            await pool.StartAsync(dead, image);
            await pool.HealthyAsync(s_shard);
            await TestPool.UntilAsync(() => Task.FromResult(pool[dead].Read(drive, key - 1)), "it does not apply what it got");
            for (ulong known = 1; known < key; known++) { Assert.Equal(Value(known), pool[dead].Read(drive, known)); }
        }
    }

    [Fact]
    public async Task A_copy_that_was_away_for_long_is_brought_up_to_date_by_a_snapshot()
    {
        await using TestPool pool = await TestPool.StartAsync(nodes: 3);
        DriveId drive = pool.DriveOn(s_shard);
        byte[] large = new byte[1 << 20];
        for (ulong key = 1; key <= 5; key++) { Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, TestPool.Put(drive, key, large))); }
        TestMember primary = await pool.PrimaryOfAsync(s_shard);
        NodeId away = pool.Members.First(member => member != primary).Process.Node;
        string image = await pool.KillAsync(away);

        // More than any log keeps, and something is gone meanwhile.
        RecordBatch removal = new();
        removal.Delete(TestPool.KeyOf(drive, 1));
        Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, removal));
        for (ulong key = 6; key <= 40; key++) { Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, TestPool.Put(drive, key, large))); }
        await pool.StartAsync(away, image);
        await pool.HealthyAsync(s_shard);
        await TestPool.UntilAsync(() => Task.FromResult(pool[away].Read(drive, 39)), "it does not apply what it got");
        Assert.Null(pool[away].Read(drive, 1));
        for (ulong key = 2; key < 40; key++) { Assert.Equal(large, pool[away].Read(drive, key)); }
        Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, TestPool.Put(drive, 41, [1])));
        await TestPool.UntilAsync(() => Task.FromResult(pool[away].Read(drive, 40)), "it does not follow");
    }

    [Fact]
    public async Task After_the_end_of_all_processes_the_pool_begins_anew_with_all_that_was_acknowledged()
    {
        await using TestPool pool = await TestPool.StartAsync(nodes: 3);
        DriveId drive = pool.DriveOn(s_shard);
        for (ulong key = 1; key <= 50; key++) { Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, key)); }
        Dictionary<NodeId, string> images = [];
        foreach (NodeId node in pool.Members.Select(member => member.Process.Node).ToArray()) { images[node] = await pool.KillAsync(node); }
        foreach ((NodeId node, string image) in images) { await pool.StartAsync(node, image); }
        TestMember next = await pool.PrimaryOfAsync(s_shard);
        for (ulong key = 1; key <= 50; key++) { Assert.Equal(Value(key), next.Read(drive, key)); }
        await pool.HealthyAsync(s_shard);
    }

    [Fact]
    public async Task Who_leaves_hands_over_what_it_serves()
    {
        await using TestPool pool = await TestPool.StartAsync(nodes: 3, shards: 8);
        for (ushort shard = 0; shard < 8; shard++) { await pool.PrimaryOfAsync(new(shard)); }
        TestMember leaving = await pool.PrimaryOfAsync(s_shard);
        await leaving.Driver.LeaveAsync(CancellationToken.None);
        TestMember next = await pool.PrimaryOfAsync(s_shard);
        Assert.NotEqual(leaving, next);
        DriveId drive = pool.DriveOn(s_shard);
        Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, 1));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_disk_that_answers_no_sync_holds_nobody_up_for_ever(bool ofThePrimary)
    {
        await using TestPool pool = await TestPool.StartAsync(nodes: 3);
        DriveId drive = pool.DriveOn(s_shard);
        Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, 1));
        TestMember primary = await pool.PrimaryOfAsync(s_shard);
        TestMember stuck = pool.Members.First(member => (member == primary) == ofThePrimary);
        stuck.IsStuck = true;
        Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, 2));

        // Nobody can say of a stuck primary what became of what it could not make durable: the next one makes it so.
        Assert.Equal(ofThePrimary ? Status.Unknown : Status.Ok, primary.LogOf(s_shard).Sync());
        TestMember next = await pool.PrimaryOfAsync(s_shard);
        Assert.Equal(ofThePrimary, next != primary);
        Assert.Equal(Status.Ok, next.LogOf(s_shard).Sync());
        Assert.True(stuck.IsStuck);
        Assert.Equal(Value(2), next.Read(drive, 2));

        stuck.IsStuck = false;
        await pool.HealthyAsync(s_shard);
        Assert.Equal(Status.Ok, await CommitToAnyAsync(pool, drive, 3));
    }

    private static Status Commit(TestMember member, DriveId drive, ulong key) =>
        member.LogOf(s_shard).Commit(drive, TestPool.Put(drive, key, Value(key)));

    private static Task<Status> CommitToAnyAsync(TestPool pool, DriveId drive, ulong key) =>
        CommitToAnyAsync(pool, drive, TestPool.Put(drive, key, Value(key)));

    /// <summary>Commits wherever the shard is served: it may change hands while a copy is missing.</summary>
    private static async Task<Status> CommitToAnyAsync(TestPool pool, DriveId drive, RecordBatch batch)
    {
        while (true)
        {
            TestMember primary = await pool.PrimaryOfAsync(s_shard);
            Status status = primary.LogOf(s_shard).Commit(drive, batch);
            if (status is not (Status.StaleEpoch or Status.Unknown)) { return status; }
        }
    }
}
