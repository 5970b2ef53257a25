namespace KvFs.Core;

/// <summary>What a node does about others that are gone.</summary>
public sealed partial class ReplicaNode
{
    /// <summary>Voters, besides the suspect, from which on a takeover needs a majority of them: with fewer, who still runs
    /// could never get one.</summary>
    private const int LeastVoters = 3;

    private readonly SortedDictionary<NodeId, Suspicion> suspects = [];
    private readonly SortedDictionary<ShardId, Reign> proposals = [];

    /// <summary>Keeps the list of suspects, and asks the others about them.</summary>
    private void Suspect(TimeSpan now, List<ReplicationEffect> effects)
    {
        foreach (NodeId node in Peers.Nodes)
        {
            if (!Peers.IsSilent(node, now))
            {
                suspects.Remove(node);
                continue;
            }

            if (!suspects.TryGetValue(node, out Suspicion? suspicion)) { suspects.Add(node, suspicion = new()); }
            if (suspicion.AskedAt is { } asked && now - asked < times.Resend) { continue; }
            suspicion.AskedAt = now;
            foreach (NodeId peer in Peers.Nodes)
            {
                if (peer != node) { effects.Add(new SendMessage(peer, new VoteRequest(node))); }
            }
        }
    }

    private void OnVote(NodeId from, Vote vote, TimeSpan now)
    {
        if (!suspects.TryGetValue(vote.Suspect, out Suspicion? suspicion)) { return; }
        if (vote.IsSilent) { suspicion.Votes[from] = now; }
        else { suspicion.Votes.Remove(from); }
    }

    /// <summary>Whether so many call a node gone that it may be replaced.</summary>
    private bool IsVotedGone(NodeId node, TimeSpan now)
    {
        int voters = view.Members.Length - 1;
        return voters < LeastVoters
            || (suspects.TryGetValue(node, out Suspicion? suspicion) && 2 * Votes(suspicion, now) > voters);
    }

    /// <summary>How many nodes, this one among them, call a suspect silent.</summary>
    private int Votes(Suspicion suspicion, TimeSpan now) =>
        1 + suspicion.Votes.Count(vote => now - vote.Value < times.Suspicion);

    /// <summary>Whether so many call a node silent that what is left may go on with fewer copies than the pool asks for.</summary>
    private bool IsVotedBelowMinimum(NodeId node, TimeSpan now) =>
        suspects.TryGetValue(node, out Suspicion? suspicion) && 2 * Votes(suspicion, now) > view.Members.Length - 1;

    /// <summary>Takes a shard over whose primary is gone, if this node is the next.</summary>
    private void TakeOver(ShardReplica shard, TimeSpan now, List<ReplicationEffect> effects)
    {
        if (shard.Reign is not { } reign || reign.Primary == self || !reign.Has(self, boot) || !shard.HasCopy) { return; }
        InSyncReplica primary = reign.Replica(reign.Primary);
        if (proposals.ContainsKey(shard.Shard) || Peers.GoneSince(primary, now) is not { } since) { return; }
        if (!Peers.IsOver(primary) && !IsVotedGone(reign.Primary, now)) { return; }
        int rank = reign.RankOf(self, replica => Peers.GoneSince(replica, now) is not null);
        if (now - since < rank * times.Candidate) { return; }
        bool byMajority = IsVotedBelowMinimum(reign.Primary, now);
        Propose(reign, reign.Without(reign.Primary, self, byMajority), $"primary {reign.Primary} is gone", effects);
    }

    private void Propose(Reign expected, Reign next, string reason, List<ReplicationEffect> effects)
    {
        proposals.Add(next.Shard, next);
        effects.Add(new ProposeReign(expected, next, reason));
    }

    private sealed class Suspicion
    {
        public TimeSpan? AskedAt { get; set; }

        /// <summary>Who else calls it gone, and when that came.</summary>
        public SortedDictionary<NodeId, TimeSpan> Votes { get; } = [];
    }
}
