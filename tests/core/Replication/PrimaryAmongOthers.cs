using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>A primary, and what it hears of others.</summary>
public abstract class PrimaryAmongOthers
{
    private static readonly ShardId s_shard = new(3);
    private readonly List<ReplicationEffect> effects = [];

    protected static NodeId Self { get; } = new(2);

    protected static NodeId First { get; } = new(1);

    protected static NodeId Third { get; } = new(3);

    protected PeerTable Peers { get; } = new(ReplicationTimes.Default);

    /// <summary>A primary, node 2, that all others hear and answer; two copies are enough.</summary>
    protected ShardReplica Primary(ImmutableArray<NodeId> inSync, ImmutableArray<NodeId> learners)
    {
        ShardReplica primary = new(
            s_shard, new(Self, new(2), new(1)), 2, ReplicationTimes.Default, Peers, new LogShape(), default);
        foreach (NodeId node in inSync.Concat(learners).Where(static node => node != Self))
        {
            Peers.Add(new(node, new(node.Value)), default);
            Peers.OnHeard(node, new(1), At(1));
        }

        ImmutableArray<InSyncReplica> copies = [.. inSync.Select(static node => new InSyncReplica(node, new(node.Value), new(1)))];
        primary.OnReign(new(s_shard, new(new(4), Self, copies, learners, Enough: 2)), At(1), effects);
        ulong beacon = Peers.Send(At(10));
        foreach (NodeId node in inSync.Concat(learners).Where(static node => node != Self))
        {
            Peers.OnAck(node, new(beacon, 0), 0);
            primary.OnReply(node, new(1), new(s_shard, new(4), new(1), new(1)), At(20), effects);
        }

        primary.Tick(At(30), static _ => false, effects);
        return primary;
    }

    /// <summary>What the primary wants the map to say, after some time.</summary>
    protected Reign? Proposed(ShardReplica primary)
    {
        effects.Clear();
        for (int at = 40; at <= 100; at += 20) { primary.Tick(At(at), static _ => false, effects); }
        return effects.OfType<ProposeReign>().SingleOrDefault()?.Next;
    }

    protected static TimeSpan At(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);
}
