using KvFs.Authority.Tests.Support;
using KvFs.Core;

namespace KvFs.Authority.Tests.Etcd;

/// <summary>Three members, of which one may fail.</summary>
public sealed class EtcdClusterTests : IAsyncLifetime
{
    private EtcdServer[] members = [];
    private EtcdOptions options = null!;

    public async Task InitializeAsync()
    {
        members = await EtcdServer.StartClusterAsync(3);
        options = new()
        {
            Endpoints = [.. members.Select(static member => member.Endpoint)],
            AttemptTime = TimeSpan.FromSeconds(1),
            RequestTime = TestTime.Patience,
            QuietTime = TimeSpan.FromMilliseconds(500),
        };
    }

    public async Task DisposeAsync()
    {
        foreach (EtcdServer member in members) { await member.DisposeAsync(); }
    }

    [Fact]
    public async Task With_the_leader_killed_again_and_again_no_change_is_lost_and_no_watch_ends()
    {
        const int Writers = 4;
        await using EtcdAuthority first = new(options);
        await TestPool.PutAsync(first, TestPool.Found(nodes: Writers));
        using CancellationTokenSource enough = new();
        Task<int>[] writing = [.. Enumerable.Range(1, Writers).Select(node => Task.Run(() => WriteAsync(node, enough.Token)))];
        Task<PoolMap>[] watching = [.. Enumerable.Range(0, 3).Select(member => Task.Run(() => WatchAsync(member)))];
        for (int round = 0; round < 3; round++)
        {
            EtcdServer leader = await LeaderAsync();
            await leader.KillAsync();
            await ProgressAsync(first);
            await leader.StartAsync();
            await ProgressAsync(first);
        }

        await enough.CancelAsync();
        int[] done = await Task.WhenAll(writing);
        PoolMap last = (await first.ReadAsync(TestTime.Limit())).Map!;
        Assert.All(Enumerable.Range(1, Writers), node => Assert.Equal(done[node - 1], TestPool.Count(last, node)));
        Assert.Equal(1 + done.Sum(), (int)last.Revision);
        PoolMap end = await TestPool.PutAsync(first, PoolMapChange.Drain(last, new(1)).Map!);
        foreach (Task<PoolMap> watch in watching) { TestPool.Same(end, await watch); }
    }

    [Fact]
    public async Task A_member_that_hangs_is_left_for_another_by_reads_swaps_and_watches()
    {
        await using EtcdAuthority authority = new(options);
        PoolMap map = await TestPool.PutAsync(authority, TestPool.Found());
        await using Watch watch = new(authority, after: 1);
        Task<PoolMap> next = watch.NextAsync();
        await members[0].FreezeAsync();
        map = await TestPool.PutAsync(authority, TestPool.Next(map));
        TestPool.Same(map, (await authority.ReadAsync(TestTime.Limit())).Map);
        TestPool.Same(map, await next);
        await members[0].ThawAsync();
    }

    [Fact]
    public async Task A_member_without_a_majority_neither_answers_reads_nor_makes_changes()
    {
        await using EtcdAuthority authority = new(options);
        PoolMap map = await TestPool.PutAsync(authority, TestPool.Found());
        await members[1].KillAsync();
        await members[2].KillAsync();
        await using EtcdAuthority alone = new(new()
        {
            Endpoints = [members[0].Endpoint],
            AttemptTime = TimeSpan.FromMilliseconds(500),
            RequestTime = TimeSpan.FromSeconds(2),
        });
        Assert.Equal(AuthorityOutcome.Unavailable, (await alone.ReadAsync(TestTime.Limit())).Outcome);
        AuthorityAnswer swap = await alone.CompareAndSwapAsync(0, TestPool.Found(nodes: 1), TestTime.Limit());
        Assert.Equal(AuthorityOutcome.Unknown, swap.Outcome);
        await members[1].StartAsync();
        TestPool.Same(map, (await authority.ReadAsync(TestTime.Limit())).Map);
    }

    /// <summary>Changes until it is told that it is enough; returns how often it did.</summary>
    private async Task<int> WriteAsync(int node, CancellationToken enough)
    {
        await using EtcdAuthority authority = new(options);
        PoolMap map = (await authority.ReadAsync(TestTime.Limit())).Map!;
        int done = 0;
        while (!enough.IsCancellationRequested)
        {
            Assert.Equal(done, TestPool.Count(map, node));
            AuthorityAnswer answer = await authority.CompareAndSwapAsync(map.Revision, TestPool.Next(map, node), TestTime.Limit());
            if (answer.Outcome == AuthorityOutcome.Unknown)
            {
                // So many changes followed while the answer was lost that nobody remembers: the map tells.
                map = (await authority.ReadAsync(TestTime.Limit())).Map!;
                Assert.InRange(TestPool.Count(map, node), done, done + 1);
                done = TestPool.Count(map, node);
                continue;
            }

            Assert.True(answer.Outcome is AuthorityOutcome.Ok or AuthorityOutcome.Conflict, $"{answer.Outcome}: {answer.Reason}");
            done += answer.Outcome == AuthorityOutcome.Ok ? 1 : 0;
            map = answer.Map!;
            if (done > 800) { return done; }  // A weight goes no further.
        }

        return done;
    }

    /// <summary>Watches at one member first, until the map says that it is the last.</summary>
    private async Task<PoolMap> WatchAsync(int member)
    {
        await using EtcdAuthority authority = new(new()
        {
            Endpoints = [.. options.Endpoints.Skip(member), .. options.Endpoints.Take(member)],
            AttemptTime = options.AttemptTime,
            RequestTime = options.RequestTime,
            QuietTime = options.QuietTime,
        });
        ulong seen = 0;
        await foreach (PoolMap map in authority.WatchAsync(0, TestTime.Limit()))
        {
            Assert.True(map.Revision > seen);
            seen = map.Revision;
            if (map.Nodes[0].State == NodeState.Draining) { return map; }
        }

        throw new InvalidOperationException("The watch ended.");
    }

    /// <summary>Waits until some more changes were made.</summary>
    private static async Task ProgressAsync(EtcdAuthority authority)
    {
        AuthorityAnswer now = await authority.ReadAsync(TestTime.Limit());
        await foreach (PoolMap map in authority.WatchAsync(now.Map!.Revision, TestTime.Limit()))
        {
            if (map.Revision > now.Map.Revision + 10) { return; }
        }
    }

    private async Task<EtcdServer> LeaderAsync()
    {
        CancellationToken limit = TestTime.Limit();
        while (true)
        {
            foreach (EtcdServer member in members)
            {
                if (await member.LeadsAsync()) { return member; }
            }

            limit.ThrowIfCancellationRequested();
        }
    }
}
