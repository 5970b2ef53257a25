using KvFs.Authority.Tests.Support;
using KvFs.Core;

namespace KvFs.Authority.Tests.Etcd;

/// <summary>One etcd that dies, forgets, or is cut off.</summary>
public sealed class EtcdFaultTests
{
    [Fact]
    public async Task A_swap_whose_answer_was_lost_is_a_success_and_never_a_conflict()
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap first = await TestPool.PutAsync(scene.Direct, TestPool.Found());
        await scene.Wired.ReadAsync(TestTime.Limit());
        scene.Wire.Set(WireMode.LoseAnswer);
        PoolMap second = await TestPool.PutAsync(scene.Wired, TestPool.Next(first));
        TestPool.Same(second, (await scene.Direct.ReadAsync(TestTime.Limit())).Map);
    }

    [Fact]
    public async Task It_is_one_also_when_others_have_built_upon_it_before_anybody_could_ask()
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap first = await TestPool.PutAsync(scene.Direct, TestPool.Found());
        PoolMap second = TestPool.Next(first);
        await scene.Wired.ReadAsync(TestTime.Limit());
        scene.Wire.Set(WireMode.LoseAnswer, then: WireMode.Hold);
        Task<AuthorityAnswer> swap = scene.Wired.CompareAndSwapAsync(1, second, TestTime.Limit());
        await scene.Wire.LossAsync();
        PoolMap third = await TestPool.PutAsync(scene.Direct, TestPool.Next(second, node: 2));
        scene.Wire.Set(WireMode.Pass);
        AuthorityAnswer answer = await swap;
        Assert.Equal(AuthorityOutcome.Ok, answer.Outcome);
        TestPool.Same(second, answer.Map);
        TestPool.Same(third, (await scene.Wired.ReadAsync(TestTime.Limit())).Map);
    }

    [Fact]
    public async Task A_swap_whose_request_was_lost_is_made_later_or_is_a_conflict_if_somebody_else_was_first()
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap first = await TestPool.PutAsync(scene.Direct, TestPool.Found());
        await scene.Wired.ReadAsync(TestTime.Limit());
        scene.Wire.Set(WireMode.LoseRequest);
        PoolMap second = await TestPool.PutAsync(scene.Wired, TestPool.Next(first));
        scene.Wire.Set(WireMode.LoseRequest, then: WireMode.Hold);
        Task<AuthorityAnswer> swap = scene.Wired.CompareAndSwapAsync(2, TestPool.Next(second), TestTime.Limit());
        await scene.Wire.LossAsync();
        PoolMap third = await TestPool.PutAsync(scene.Direct, TestPool.Next(second, node: 2));
        scene.Wire.Set(WireMode.Pass);
        AuthorityAnswer answer = await swap;
        Assert.Equal(AuthorityOutcome.Conflict, answer.Outcome);
        TestPool.Same(third, answer.Map);
    }

    [Fact]
    public async Task A_swap_that_was_lost_before_more_changes_than_are_remembered_stays_unknown()
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap map = await TestPool.PutAsync(scene.Direct, TestPool.Found());
        await scene.Wired.ReadAsync(TestTime.Limit());
        scene.Wire.Set(WireMode.LoseAnswer, then: WireMode.Hold);
        PoolMap lost = TestPool.Next(map);
        Task<AuthorityAnswer> swap = scene.Wired.CompareAndSwapAsync(1, lost, TestTime.Limit());
        await scene.Wire.LossAsync();
        map = lost;
        for (ulong change = 0; change < EtcdAuthority.RememberedChanges; change++)
        {
            map = await TestPool.PutAsync(scene.Direct, TestPool.Next(map, node: 2 + (int)(change % 2)));
        }

        scene.Wire.Set(WireMode.Pass);
        Assert.Equal(AuthorityOutcome.Unknown, (await swap).Outcome);
    }

    [Fact]
    public async Task While_etcd_is_away_nothing_is_changed_and_who_was_cut_off_in_the_middle_does_not_know()
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap map = await TestPool.PutAsync(scene.Direct, TestPool.Found());
        await using EtcdAuthority impatient = new(new()
        {
            Endpoints = [scene.Wire.Endpoint],
            AttemptTime = TimeSpan.FromMilliseconds(300),
            RequestTime = TimeSpan.FromSeconds(1),
        });

        // A busy machine may be slower than it waits; a swap is sent at once only by who knows what stands there.
        CancellationToken limit = TestTime.Limit();
        while ((await impatient.ReadAsync(limit)).Outcome != AuthorityOutcome.Ok) { limit.ThrowIfCancellationRequested(); }
        scene.Wire.Set(WireMode.Hold);
        AuthorityAnswer unknown = await impatient.CompareAndSwapAsync(1, TestPool.Next(map), TestTime.Limit());
        Assert.Equal(AuthorityOutcome.Unknown, unknown.Outcome);
        Assert.NotEmpty(unknown.Reason);
        Assert.Equal(AuthorityOutcome.Unavailable, (await impatient.ReadAsync(TestTime.Limit())).Outcome);
        Assert.NotNull(impatient.Trouble);

        await using EtcdAuthority nobody = new(new()
        {
            Endpoints = [new($"http://127.0.0.1:{FreePorts.Next()}")],
            RequestTime = TimeSpan.FromSeconds(1),
        });
        AuthorityAnswer unavailable = await nobody.CompareAndSwapAsync(0, map, TestTime.Limit());
        Assert.Equal(AuthorityOutcome.Unavailable, unavailable.Outcome);
        Assert.Contains("127.0.0.1", unavailable.Reason, StringComparison.Ordinal);
        TestPool.Same(map, (await scene.Direct.ReadAsync(TestTime.Limit())).Map);
    }

    [Fact]
    public async Task Etcd_killed_and_started_again_has_every_map_that_was_answered_and_watches_go_on()
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap map = await TestPool.PutAsync(scene.Direct, TestPool.Found());
        Task<ulong> watching = WatchAsync(scene.Wired);
        for (int life = 0; life < 3; life++)
        {
            for (int change = 0; change < 5; change++) { map = await TestPool.PutAsync(scene.Direct, TestPool.Next(map)); }
            await scene.Server.KillAsync();
            await scene.Server.StartAsync();
            TestPool.Same(map, (await scene.Direct.ReadAsync(TestTime.Limit())).Map);
        }

        map = await TestPool.PutAsync(scene.Direct, TestPool.Next(map, node: 3));
        Assert.Equal(map.Revision, await watching);
    }

    [Fact]
    public async Task A_watch_that_was_away_during_a_compaction_goes_on_with_what_stands_there_now()
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap map = await TestPool.PutAsync(scene.Direct, TestPool.Found());
        await using Watch watch = new(scene.Wired, after: 0);
        await watch.NextAsync();
        Task<PoolMap> next = watch.NextAsync();
        await scene.Server.KillAsync();
        scene.Wire.Set(WireMode.Hold);
        await scene.Server.StartAsync();
        for (int change = 0; change < 5; change++) { map = await TestPool.PutAsync(scene.Direct, TestPool.Next(map)); }
        await scene.Server.CompactAsync();
        scene.Wire.Set(WireMode.Pass);
        TestPool.Same(map, await next);
    }

    [Fact]
    public async Task A_watch_from_before_a_compaction_is_told_so()
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap map = await TestPool.PutAsync(scene.Direct, TestPool.Found());
        for (int change = 0; change < 5; change++) { map = await TestPool.PutAsync(scene.Direct, TestPool.Next(map)); }
        long compacted = await scene.Server.CompactAsync();
        EtcdOptions options = new() { Endpoints = [scene.Server.Endpoint] };
        using EtcdGateway gateway = new(options);
        List<EtcdEventKind> kinds = [];
        byte[] key = "/kvfs/pool/map"u8.ToArray();
        await foreach (EtcdEvent said in EtcdWatch.RunAsync(gateway, options, key, compacted - 3, TestTime.Limit()))
        {
            kinds.Add(said.Kind);
        }

        Assert.Equal(EtcdEventKind.Compacted, kinds[^1]);
        Assert.DoesNotContain(EtcdEventKind.Put, kinds);
    }

    [Fact]
    public async Task A_connection_that_died_without_a_word_does_not_blind_a_watch()
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap map = await TestPool.PutAsync(scene.Direct, TestPool.Found());
        await using Watch watch = new(scene.Wired, after: 0);
        await watch.NextAsync();
        Task<PoolMap> next = watch.NextAsync();
        await scene.Server.FreezeAsync();
        Assert.Equal(AuthorityOutcome.Unavailable, (await new EtcdAuthority(new()
        {
            Endpoints = [scene.Server.Endpoint],
            AttemptTime = TimeSpan.FromMilliseconds(200),
            RequestTime = TimeSpan.FromSeconds(1),
        }).ReadAsync(TestTime.Limit())).Outcome);
        await scene.Server.ThawAsync();
        map = await TestPool.PutAsync(scene.Direct, TestPool.Next(map));
        TestPool.Same(map, await next);
    }

    [Theory]
    [InlineData(4, "too large")]
    [InlineData(5, "larger than max")]
    public async Task A_map_that_etcd_would_not_take_is_refused_with_its_size(int copies, string word)
    {
        await using EtcdScene scene = await EtcdScene.StartAsync();
        PoolMap large = TestPool.Found(nodes: 6, shards: 4096, copies: copies);
        AuthorityAnswer ours = await scene.Direct.CompareAndSwapAsync(0, large, TestTime.Limit());
        Assert.Equal(AuthorityOutcome.TooLarge, ours.Outcome);
        Assert.Contains($"{PoolMapCodec.Encode(large).Length} bytes", ours.Reason, StringComparison.Ordinal);
        await using EtcdAuthority daring = new(new()
        {
            Endpoints = [scene.Server.Endpoint],
            MaxMapBytes = int.MaxValue,
            AttemptTime = TestTime.Patience,
            RequestTime = TestTime.Patience,
        });
        AuthorityAnswer its = await daring.CompareAndSwapAsync(0, large, TestTime.Limit());
        Assert.Equal(AuthorityOutcome.TooLarge, its.Outcome);
        Assert.Contains(word, its.Reason, StringComparison.Ordinal);
        Assert.Equal(AuthorityAnswer.Ok(null), await scene.Direct.ReadAsync(TestTime.Limit()));
    }

    /// <summary>Watches until the third node's changes begin; returns the revision of that map.</summary>
    private static async Task<ulong> WatchAsync(EtcdAuthority authority)
    {
        ulong seen = 0;
        await foreach (PoolMap shown in authority.WatchAsync(0, TestTime.Limit()))
        {
            Assert.True(shown.Revision > seen);
            seen = shown.Revision;
            if (TestPool.Count(shown, node: 3) > 0) { break; }
        }

        return seen;
    }
}
