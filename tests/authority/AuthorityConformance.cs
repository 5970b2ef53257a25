using System.Collections.Concurrent;
using KvFs.Authority.Tests.Support;
using KvFs.Core;

namespace KvFs.Authority.Tests;

/// <summary>What every authority does. Each implementation runs all of it against the real thing.</summary>
public abstract class AuthorityConformance : IAsyncLifetime
{
    /// <summary>Tests open from several tasks at once.</summary>
    private readonly ConcurrentQueue<IPoolAuthority> opened = [];

    public virtual Task InitializeAsync() => Task.CompletedTask;

    public virtual async Task DisposeAsync()
    {
        foreach (IPoolAuthority authority in opened) { await authority.DisposeAsync(); }
    }

    /// <summary>Another client of the place that this test has for itself.</summary>
    protected abstract IPoolAuthority Connect();

    /// <summary>Puts bytes there, past all clients.</summary>
    protected abstract Task PlantAsync(byte[] bytes);

    /// <summary>The bytes with which a map stands there.</summary>
    protected abstract byte[] Stored(PoolMap map);

    /// <summary>Removes what stands there, past all clients.</summary>
    protected abstract Task RemoveAsync();

    protected IPoolAuthority Open()
    {
        IPoolAuthority authority = Connect();
        opened.Enqueue(authority);
        return authority;
    }

    [Fact]
    public async Task Nothing_stands_there_until_the_first_map_is_put()
    {
        IPoolAuthority authority = Open();
        AuthorityAnswer nothing = await authority.ReadAsync(TestTime.Limit());
        Assert.Equal(AuthorityAnswer.Ok(null), nothing);
        Assert.Null(authority.Trouble);
        PoolMap map = await TestPool.PutAsync(authority, TestPool.Found());
        foreach (IPoolAuthority reader in (IPoolAuthority[])[authority, Open()])
        {
            AuthorityAnswer answer = await reader.ReadAsync(TestTime.Limit());
            Assert.Equal((AuthorityOutcome.Ok, ""), (answer.Outcome, answer.Reason));
            TestPool.Same(map, answer.Map);
        }
    }

    [Fact]
    public async Task A_swap_that_expects_another_map_changes_nothing_and_says_what_stands_there()
    {
        IPoolAuthority authority = Open();
        PoolMap first = TestPool.Found();
        PoolMap second = TestPool.Next(first);
        await ConflictAsync(authority, expected: 1, second, standing: null);
        await TestPool.PutAsync(authority, first);
        await ConflictAsync(authority, expected: 0, TestPool.Found(nodes: 2), standing: first);
        await TestPool.PutAsync(authority, second);
        foreach (IPoolAuthority late in (IPoolAuthority[])[authority, Open()])
        {
            await ConflictAsync(late, expected: 1, TestPool.Next(first, node: 2), standing: second);
            await ConflictAsync(late, expected: 7, TestPool.Next(TestPool.Next(second)), standing: second, revision: 8);
        }

        TestPool.Same(second, (await authority.ReadAsync(TestTime.Limit())).Map);
    }

    [Fact]
    public async Task A_map_that_cannot_follow_is_the_callers_mistake_and_changes_nothing()
    {
        IPoolAuthority authority = Open();
        PoolMap first = await TestPool.PutAsync(authority, TestPool.Found());
        PoolMap foreign = TestPool.Next(TestPool.Found(pool: 78));
        await Assert.ThrowsAsync<ArgumentException>(() => authority.CompareAndSwapAsync(1, first, TestTime.Limit()));
        await Assert.ThrowsAsync<ArgumentException>(() => authority.CompareAndSwapAsync(1, foreign, TestTime.Limit()));
        await Assert.ThrowsAsync<ArgumentException>(() => Open().CompareAndSwapAsync(1, foreign, TestTime.Limit()));
        TestPool.Same(first, (await authority.ReadAsync(TestTime.Limit())).Map);
    }

    [Fact]
    public async Task A_map_of_a_million_bytes_stands_there_as_it_was_put()
    {
        PoolMap large = TestPool.Found(nodes: 60, shards: 3000);
        Assert.InRange(PoolMapCodec.Encode(large).Length, 1_000_000, 1_500_000);
        await TestPool.PutAsync(Open(), large);
        TestPool.Same(large, (await Open().ReadAsync(TestTime.Limit())).Map);
    }

    [Fact]
    public async Task Of_eight_that_change_the_map_at_once_nobody_loses_a_change()
    {
        const int Writers = 8;
        const int Changes = 12;
        await TestPool.PutAsync(Open(), TestPool.Found(nodes: Writers));
        int conflicts = 0;
        int ready = 0;
        TaskCompletionSource all = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await Task.WhenAll(Enumerable.Range(1, Writers).Select(node => Task.Run(async () =>
        {
            IPoolAuthority authority = Open();
            PoolMap map = (await authority.ReadAsync(TestTime.Limit())).Map!;

            // They begin with the same map: one of them is the first, and seven must build upon it.
            if (Interlocked.Increment(ref ready) == Writers) { all.SetResult(); }
            await all.Task;
            for (int done = 0; done < Changes;)
            {
                Assert.Equal(done, TestPool.Count(map, node));
                AuthorityAnswer answer = await authority.CompareAndSwapAsync(map.Revision, TestPool.Next(map, node), TestTime.Limit());
                Assert.True(answer.Outcome is AuthorityOutcome.Ok or AuthorityOutcome.Conflict, answer.Reason);
                if (answer.Outcome == AuthorityOutcome.Ok) { done++; }
                else { Interlocked.Increment(ref conflicts); }
                map = answer.Map!;
            }
        })));
        PoolMap last = (await Open().ReadAsync(TestTime.Limit())).Map!;
        Assert.Equal(1 + (Writers * Changes), (int)last.Revision);
        Assert.All(Enumerable.Range(1, Writers), node => Assert.Equal(Changes, TestPool.Count(last, node)));
        Assert.True(conflicts >= Writers - 1, "the writers did not meet");
    }

    [Fact]
    public async Task One_client_may_be_asked_by_many_at_once()
    {
        IPoolAuthority authority = Open();
        PoolMap first = await TestPool.PutAsync(authority, TestPool.Found(nodes: 8));
        AuthorityAnswer[] answers = await Task.WhenAll(Enumerable.Range(1, 8).Select(node => Task.Run(() =>
            authority.CompareAndSwapAsync(1, TestPool.Next(first, node), TestTime.Limit()))));
        AuthorityAnswer won = Assert.Single(answers, static answer => answer.Outcome == AuthorityOutcome.Ok);
        Assert.All(answers, answer => TestPool.Same(won.Map!, answer.Map));
    }

    [Fact]
    public async Task A_watch_shows_rising_maps_up_to_the_last_to_everybody()
    {
        const ulong Last = 40;
        IPoolAuthority writer = Open();
        PoolMap map = await TestPool.PutAsync(writer, TestPool.Found());
        Task[] watchers =
        [
            .. ((IPoolAuthority[])[writer, writer, Open(), Open()]).Select(authority => Task.Run(async () =>
            {
                ulong seen = 0;
                await foreach (PoolMap shown in authority.WatchAsync(0, TestTime.Limit()))
                {
                    Assert.True(shown.Revision > seen);
                    Assert.Equal((int)shown.Revision - 1, TestPool.Count(shown));
                    seen = shown.Revision;
                    if (seen == Last) { return; }
                }
            })),
        ];
        while (map.Revision < Last) { map = await TestPool.PutAsync(writer, TestPool.Next(map)); }
        await Task.WhenAll(watchers);
    }

    [Fact]
    public async Task A_watch_begins_above_the_revision_that_is_known_and_waits_for_a_first_map()
    {
        IPoolAuthority authority = Open();
        await using Watch early = new(Open(), after: 0);
        PoolMap first = await TestPool.PutAsync(authority, TestPool.Found());
        TestPool.Same(first, await early.NextAsync());
        await using Watch late = new(Open(), after: 1);
        PoolMap second = await TestPool.PutAsync(authority, TestPool.Next(first));
        TestPool.Same(second, await late.NextAsync());
        TestPool.Same(second, await early.NextAsync());
    }

    [Fact]
    public async Task A_watch_ends_when_it_is_canceled()
    {
        await TestPool.PutAsync(Open(), TestPool.Found());
        using CancellationTokenSource stop = new();
        await using IAsyncEnumerator<PoolMap> watch = Open().WatchAsync(0, stop.Token).GetAsyncEnumerator(stop.Token);
        Assert.True(await watch.MoveNextAsync());
        ValueTask<bool> next = watch.MoveNextAsync();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next.AsTask());
    }

    [Fact]
    public async Task What_is_no_map_is_damaged_to_everybody_and_never_replaced()
    {
        PoolMap map = await TestPool.PutAsync(Open(), TestPool.Found());
        await using Watch watch = new(Open(), after: 0);
        await watch.NextAsync();
        await PlantAsync("{\"format\":1}"u8.ToArray());
        AuthorityException seen = await Assert.ThrowsAsync<AuthorityException>(watch.NextAsync);
        Assert.Contains("damaged", seen.Message, StringComparison.Ordinal);
        foreach (AuthorityAnswer answer in (AuthorityAnswer[])
            [await Open().ReadAsync(TestTime.Limit()), await Open().CompareAndSwapAsync(1, TestPool.Next(map), TestTime.Limit())])
        {
            Assert.Equal((AuthorityOutcome.Damaged, null), (answer.Outcome, answer.Map));
            Assert.NotEmpty(answer.Reason);
        }
    }

    [Fact]
    public async Task A_watch_does_not_go_on_when_the_map_is_gone_or_went_back_or_is_another_pools()
    {
        PoolMap first = TestPool.Found();
        PoolMap second = TestPool.Next(first);
        PoolMap foreign = TestPool.Next(TestPool.Next(TestPool.Found(pool: 78)));
        (Func<Task> Change, string Word)[] cases =
        [
            (RemoveAsync, "gone"), (() => PlantAsync(Stored(first)), "went back"), (() => PlantAsync(Stored(foreign)), "pool"),
        ];
        foreach ((Func<Task> change, string word) in cases)
        {
            await PlantAsync(Stored(second));
            await using Watch watch = new(Open(), after: 0);
            TestPool.Same(second, await watch.NextAsync());
            await change();
            AuthorityException seen = await Assert.ThrowsAsync<AuthorityException>(watch.NextAsync);
            Assert.Contains(word, seen.Message, StringComparison.Ordinal);
        }
    }

    private static async Task ConflictAsync(
        IPoolAuthority authority, ulong expected, PoolMap map, PoolMap? standing, ulong? revision = null)
    {
        if (revision is { } number) { map = Renumber(map, number); }
        AuthorityAnswer answer = await authority.CompareAndSwapAsync(expected, map, TestTime.Limit());
        Assert.Equal(AuthorityOutcome.Conflict, answer.Outcome);
        Assert.NotEmpty(answer.Reason);
        if (standing is null) { Assert.Null(answer.Map); }
        else { TestPool.Same(standing, answer.Map); }
    }

    private static PoolMap Renumber(PoolMap map, ulong revision)
    {
        Assert.True(PoolMap.TryCreate(
            map.Pool, revision, map.Settings, map.NextNode, map.Nodes, map.Shards, out PoolMap? renumbered, out string reason), reason);
        return renumbered!;
    }
}
