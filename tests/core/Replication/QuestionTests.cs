using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>When a primary asks once more what others have.</summary>
public sealed class QuestionTests : PrimaryAmongOthers
{
    private readonly List<ReplicationEffect> effects = [];

    [Fact]
    public void Who_is_waited_for_is_asked_soon_and_who_is_not_is_not()
    {
        // A copy that is better left out.
        Peers.OnDisk(Third, DiskCondition.Full);
        ShardReplica primary = Primary([First, Self], [Third]);
        Assert.True(primary.TrySubmit(At(40), wantsDurable: false, effects, out _));
        Assert.Equal([First, Third], Asked());

        // Whatever became of that: an empty message says what has to be there before it.
        primary.Tick(At(120), static _ => false, effects);
        Assert.Empty(Asked());
        primary.Tick(At(140), static _ => false, effects);
        SendEntries question = Assert.Single(effects.OfType<SendEntries>());
        Assert.Equal((First, primary.Last, 0), (question.To, question.Entries.Previous, question.Entries.Entries.Length));
    }

    [Fact]
    public void Who_gets_a_snapshot_is_asked_from_its_end_on()
    {
        ShardReplica primary = Primary([First, Self], [Third]);
        for (int at = 0; at < 5; at++) { Assert.True(primary.TrySubmit(At(40), wantsDurable: false, effects, out _)); }
        primary.OnMismatch(Third, new(1), new(new(3), new(4), [], Needs: true), At(50), effects);
        Assert.Contains(effects, static effect => effect is SendSnapshot { To.Value: 3 });
        effects.Clear();
        primary.Tick(At(600), static _ => false, effects);
        SendEntries question = Assert.Single(effects.OfType<SendEntries>(), static sent => sent.To == Third);
        Assert.Equal((primary.Last, 0), (question.Entries.Previous, question.Entries.Entries.Length));
    }

    private NodeId[] Asked()
    {
        NodeId[] asked = [.. effects.OfType<SendEntries>().Select(static sent => sent.To)];
        effects.Clear();
        return asked;
    }
}
