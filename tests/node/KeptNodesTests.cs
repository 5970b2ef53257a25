using KvFs.Core;
using KvFs.Node.Drives;

namespace KvFs.Node.Tests;

public sealed class KeptNodesTests
{
    private static readonly SessionId s_one = new(1);
    private static readonly SessionId s_other = new(2);
    private static readonly VNodeId s_node = new(7);

    private readonly KeptNodes kept = new();
    private readonly Keeper keeper;

    public KeptNodesTests()
    {
        keeper = new(kept, s_one);
        kept.Use();
        kept.Add(s_one, keeper, isAbsent: false);
    }

    [Fact]
    public void Nothing_is_kept_that_changes_or_has_since_it_was_read()
    {
        long before = kept.Sample();
        Assert.True(kept.BeginChange(s_other, [s_node]));
        Assert.False(kept.TryKeep(s_one, [s_node], kept.Sample()));
        kept.EndChange([s_node]);
        Assert.False(kept.TryKeep(s_one, [new(8), s_node], before));
        Assert.True(kept.BeginChange(s_other, [new(8)]));
        kept.EndChange([new(8)]);
        Assert.True(kept.TryKeep(s_one, [s_node], kept.Sample()));
    }

    [Fact]
    public void Who_changes_something_waits_for_the_others_and_not_for_itself()
    {
        Assert.True(kept.TryKeep(s_one, [s_node], kept.Sample()));
        Assert.True(kept.BeginChange(s_one, [s_node]));
        kept.EndChange([s_node]);
        Assert.True(kept.BeginChange(s_other, [new(8)]));
        Assert.False(kept.BeginChange(s_other, [s_node]));
        Assert.True(kept.WaitForOthers(s_other, [s_node]));
        Assert.Equal([[s_node]], keeper.Asked);
        Assert.True(kept.BeginChange(s_other, [s_node]));
    }

    [Fact]
    public void What_was_kept_again_outlives_an_answer_that_comes_late()
    {
        Assert.True(kept.TryKeep(s_one, [s_node], kept.Sample()));
        long asked = kept.Sample();
        kept.Forgotten(s_one, [s_node], asked);
        Assert.True(kept.BeginChange(s_other, [s_node]));
        kept.EndChange([s_node]);
        Assert.True(kept.TryKeep(s_one, [s_node], kept.Sample()));
        kept.Forgotten(s_one, [s_node], asked);
        kept.Forgotten(s_one, [], asked);
        Assert.False(kept.BeginChange(s_other, [s_node]));
    }

    [Fact]
    public async Task Who_is_absent_may_keep_anything_until_it_is_back_or_over()
    {
        SessionId absent = new(3);
        kept.Add(absent, new Keeper(kept, absent), isAbsent: true);
        Assert.False(kept.TryKeep(absent, [s_node], kept.Sample()));
        Assert.False(kept.BeginChange(s_other, [s_node]));
        Task<bool> waiting = Task.Run(() => kept.WaitForOthers(s_other, [s_node]));
        Assert.False(waiting.IsCompleted);
        kept.Forgotten(absent, [], long.MaxValue);
        Assert.True(await waiting);
        kept.EndChange([s_node]);
        Assert.True(kept.TryKeep(absent, [s_node], kept.Sample()));

        kept.Add(absent, new Keeper(kept, absent), isAbsent: true);
        waiting = Task.Run(() => kept.WaitForOthers(s_other, [s_node]));
        kept.Remove(absent);
        Assert.True(await waiting);
        kept.Add(absent, new Keeper(kept, absent), isAbsent: true);
        waiting = Task.Run(() => kept.WaitForOthers(s_other, [s_node]));
        kept.End();
        Assert.False(await waiting);
    }

    [Fact]
    public void Who_keeps_too_much_is_asked_to_forget_it_all_once()
    {
        VNodeId[] nodes = [.. Enumerable.Range(1, KeptNodes.MaxNodes - 1).Select(static at => new VNodeId((ulong)at))];
        Assert.True(kept.TryKeep(s_one, nodes, kept.Sample()));
        keeper.IsSlow = true;
        VNodeId[] next = [new(KeptNodes.MaxNodes), new(KeptNodes.MaxNodes + 1)];
        Assert.False(kept.TryKeep(s_one, next, kept.Sample()));
        Assert.False(kept.TryKeep(s_one, next, kept.Sample()));
        Assert.Equal([[]], keeper.Asked);

        // What is kept behind that is told behind that: the answer says nothing of it.
        Assert.True(kept.TryKeep(s_one, [nodes[0]], kept.Sample()));
        kept.Forgotten(s_one, [], keeper.UpTo);
        Assert.True(kept.BeginChange(s_other, nodes[1..]));
        Assert.False(kept.BeginChange(s_other, [nodes[0]]));
        kept.EndChange(nodes[1..]);
        kept.EndChange([nodes[0]]);
        Assert.True(kept.TryKeep(s_one, next, kept.Sample()));
    }

    [Fact]
    public void Nothing_is_kept_before_somebody_may_or_by_who_is_not_known()
    {
        KeptNodes unused = new();
        unused.Add(s_one, new Keeper(unused, s_one), isAbsent: false);
        Assert.False(unused.IsUsed);
        Assert.False(unused.TryKeep(s_one, [s_node], unused.Sample()));
        Assert.False(kept.TryKeep(s_other, [s_node], kept.Sample()));
    }

    /// <summary>Forgets at once, unless it is slow.</summary>
    private sealed class Keeper(KeptNodes kept, SessionId session) : INodeKeeper
    {
        public List<VNodeId[]> Asked { get; } = [];

        public bool IsSlow { get; set; }

        public long UpTo { get; private set; }

        public void Forget(IReadOnlyCollection<VNodeId> nodes, long upTo)
        {
            Asked.Add([.. nodes]);
            UpTo = upTo;
            if (!IsSlow) { kept.Forgotten(session, nodes, upTo); }
        }
    }
}
