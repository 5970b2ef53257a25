namespace KvFs.Core;

/// <summary>Who is a shard's primary and who is in sync: learns it from the pool map, and has it changed.</summary>
public sealed partial class ShardReplica
{
    /// <summary>Entries that a node may lack when it is waited for from then on: a few milliseconds of them.</summary>
    private const ulong NearEntries = 512;

    /// <summary>Who is waited for, and owes an answer for this part of <see cref="ReplicationTimes.Resend"/>, is asked how far it is.</summary>
    private const int QuestionParts = 5;

    private Reign? proposed;
    private LogIndex joinFrom;
    private TimeSpan leasesOver;

    /// <summary>Who is to be the next primary, if it is to be a certain one.</summary>
    private NodeId successor;

    /// <summary>Who is to be the next primary, if it can.</summary>
    private NodeId preferred;

    /// <summary>Whether a copy has all blocks that go with the log. Blocks are the driver's affair; without them a copy is not
    /// listed as in sync.</summary>
    public Func<InSyncReplica, bool> HasBlocks { get; set; } = static _ => true;

    /// <summary>The others whose word counts, as far as is known here: those in sync, and who may be by now; null: this node is
    /// not the primary.</summary>
    public IReadOnlyList<InSyncReplica>? CountedOthers => IsPrimary ? [.. Counted()] : null;

    /// <summary>The pool map says something else of this shard.</summary>
    /// <param name="next">What it says.</param>
    /// <param name="now">When that came to be known here.</param>
    /// <param name="effects">What to do.</param>
    public void OnReign(Reign next, TimeSpan now, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(next);
        ArgumentNullException.ThrowIfNull(effects);
        if (Reign is not null && next.Epoch <= Reign.Epoch) { return; }
        Reign? last = Reign;
        bool isSuccession = last is not null && last.Epoch.Value + 1 == next.Epoch.Value;
        NoteLease(last, next, isSuccession);
        bool isMine = IsMine(next);
        Reign = next;
        if (next.Epoch > seen)
        {
            seen = next.Epoch;
            leader = default;
            hasMatched = false;
        }

        if (!isMine)
        {
            EndReign(effects);
            return;
        }

        if (!IsPrimary || !isSuccession)
        {
            EndReign(effects);
            if (HasCopy) { BeginReign(leasesOver, now, effects); }
            return;
        }

        if (joining is { } one && next.Has(one.Node, one.Boot)) { joining = null; }
        UpdateFollowers(now, effects);
        AdvanceCommit(effects);
        AdvanceDurable();
    }

    /// <summary>What became of a proposal; if it was taken, <see cref="OnReign"/> was told before.</summary>
    public void OnProposed(Reign next)
    {
        ArgumentNullException.ThrowIfNull(next);
        if (proposed is null || !proposed.Equals(next)) { return; }
        proposed = null;
        joining = null;
        isSigningOver = false;
        StayIfNotWanted();
    }

    /// <summary>Takes no requests any more, and hands the shard to another in-sync replica once all is committed.</summary>
    /// <param name="to">To which, if that one can take it; default: any.</param>
    public void Leave(NodeId to = default)
    {
        isLeaving = IsPrimary;
        successor = default;
        preferred = to;
    }

    /// <summary>Hands the shard to one in-sync replica, once all is committed; takes no requests meanwhile. If that one is not
    /// there, or stops, or cannot count on its disk, or the map says something else by then, all goes on as before.</summary>
    public void HandOverTo(NodeId to)
    {
        if (!IsPrimary || isLeaving || to == self || !peers.HasFineDisk(to) || peers.IsLeaving(to) || !Reign!.Entry.IsInSync(to)) { return; }
        isLeaving = true;
        successor = to;
    }

    /// <summary>Time passed: sends again what was not answered, drops who is silent, takes in who has caught up.</summary>
    /// <param name="now">The time.</param>
    /// <param name="isVotedSilent">Whether a majority of the pool calls a node silent.</param>
    /// <param name="effects">What to do.</param>
    public void Tick(TimeSpan now, Func<NodeId, bool> isVotedSilent, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(isVotedSilent);
        ArgumentNullException.ThrowIfNull(effects);
        if (!IsPrimary) { return; }

        // What waited only for a node that was to be taken in, and is not waited for any more: nobody's answer says so.
        AdvanceCommit(effects);
        AdvanceDurable();
        foreach ((NodeId node, FollowerProgress follower) in followers)
        {
            if (peers.BootOf(node) > follower.Boot)
            {
                follower.Restart(peers.BootOf(node), log.Last.Index.Next);
                SendMore(node, follower, now, effects, evenNothing: true);
            }
            else if (follower.OwesSince is { } since && now - since >= times.Resend)
            {
                SendAgain(node, follower, times.Resend, now, effects);
            }
            else if (now - follower.SentAt >= (IsWaitedFor(node, follower) ? times.Resend / QuestionParts : times.Resend))
            {
                // Nothing is missing, and it is told what is committed; or it is asked, because all that is under way may be lost, as when
                // a connection broke: its answer says so.
                SendMore(node, follower, now, effects, evenNothing: true);
            }
        }

        if (!isServing && now >= serveFrom && Committed >= reignEntry && Reign!.InSync.Length >= Reign.Enough
            && now < LeaseEnd())
        {
            isServing = true;
            effects.Add(new BeginServing(Shard, Reign.Epoch));
        }

        if (proposed is not null) { return; }
        if (!peers.HasFineDisk(self)) { HandOverIfOthersCanServe(now); }
        if (isLeaving && TrySignOver(now, effects)) { return; }
        if (!DropSilent(now, isVotedSilent, effects) && !DropUnfit(effects)) { TakeIn(now, effects); }
    }

    /// <summary>Whether this process is the primary of a reign, and was told of no later one.</summary>
    private bool IsMine(Reign reign) => reign.Primary == self && reign.Has(self, boot) && reign.Epoch >= seen;

    /// <summary>Until when the primaries before may have served, if this node was in sync with them.</summary>
    private void NoteLease(Reign? last, Reign next, bool isSuccession)
    {
        if (last is null) { return; }
        if (!isSuccession)
        {
            // Reigns were missed: any node may have been primary.
            foreach (NodeId node in peers.Nodes) { Note(peers.LeaseOver(node)); }
            return;
        }

        bool isProvenOver = next.Entry.IsSignedOver || peers.IsOver(last.Replica(last.Primary));
        if (last.Primary != self && last.Primary != next.Primary && !isProvenOver) { Note(peers.LeaseOver(last.Primary)); }

        void Note(TimeSpan over)
        {
            if (over > leasesOver) { leasesOver = over; }
        }
    }

    /// <summary>One who was to be handed the shard could not take it: the next plan says who can.</summary>
    private void StayIfNotWanted()
    {
        if (successor == default) { return; }
        isLeaving = false;
        successor = default;
    }

    private bool TrySignOver(TimeSpan now, List<ReplicationEffect> effects)
    {
        if (Committed != log.Last.Index) { return false; }
        NodeId next = default;
        foreach (InSyncReplica replica in Reign!.InSync)
        {
            if (replica.Node == self || peers.IsLeaving(replica.Node) || IsSilent(replica, now)) { continue; }
            if (successor != default && replica.Node != successor) { continue; }
            bool isBetter = next == default || (!peers.HasFineDisk(next) && peers.HasFineDisk(replica.Node));
            if (isBetter || (replica.Node == preferred && peers.HasFineDisk(replica.Node))) { next = replica.Node; }
        }

        if (next == default)
        {
            StayIfNotWanted();
            return false;
        }

        isSigningOver = true;
        Propose(Reign.SignedOverTo(next), $"node {self} hands over", effects);
        return true;
    }

    /// <summary>A primary with a full disk can only refuse, and one whose disk is stuck can make nothing durable: who can serves
    /// instead.</summary>
    private void HandOverIfOthersCanServe(TimeSpan now)
    {
        foreach (InSyncReplica replica in Reign!.InSync)
        {
            if (replica.Node == self || !peers.HasFineDisk(replica.Node) || IsSilent(replica, now)) { continue; }
            HandOverTo(replica.Node);
            return;
        }
    }

    /// <summary>Goes on without a copy that has no room for what comes, or cannot make it durable, if enough are left; where this
    /// node cannot either, all stay.</summary>
    private bool DropUnfit(List<ReplicationEffect> effects)
    {
        Reign reign = Reign!;
        if (reign.InSync.Length - 1 < reign.Enough || !peers.HasFineDisk(self)) { return false; }
        foreach (InSyncReplica replica in reign.InSync)
        {
            if (peers.HasFineDisk(replica.Node)) { continue; }
            string how = peers.DiskOf(replica.Node) == DiskCondition.Full ? "is full" : "does not answer";
            Propose(reign.Without(replica.Node, self, byMajority: false), $"the disk of node {replica.Node} {how}", effects);
            return true;
        }

        return false;
    }

    /// <summary>Whether a copy is not to count because it would have to be dropped again: it is about to stop, or its disk
    /// cannot be counted on.</summary>
    private bool IsBetterLeftOut(NodeId node) =>
        peers.IsLeaving(node) || (!peers.HasFineDisk(node) && peers.HasFineDisk(self) && Reign!.InSync.Length >= Reign.Enough);

    private bool DropSilent(TimeSpan now, Func<NodeId, bool> isVotedSilent, List<ReplicationEffect> effects)
    {
        Reign reign = Reign!;
        foreach (InSyncReplica replica in reign.InSync)
        {
            if (replica.Node == self || !IsSilent(replica, now)) { continue; }
            int left = reign.InSync.Length - 1;
            if (left < reign.Enough && (left < 1 || !isVotedSilent(replica.Node))) { continue; }
            Propose(reign.Without(replica.Node, self, byMajority: left < reign.Enough), $"node {replica.Node} is silent", effects);
            return true;
        }

        return false;
    }

    private bool IsSilent(InSyncReplica replica, TimeSpan now)
    {
        if (peers.IsOver(replica) || now - peers.LeaseFrom(replica) >= TimeSpan.Zero) { return now >= silentFrom; }
        return followers.TryGetValue(replica.Node, out FollowerProgress? follower)
            && follower.OwesSince is { } since && now - since >= times.Lease;
    }

    /// <summary>Has a node listed that has all of the log: first nothing is committed without it any more, then it gets what it
    /// still lacks, then it is listed; because that may happen before it is known here.</summary>
    /// <remarks>It must have all of it on disk: who is listed may be the one that the pool begins anew from after a power cut, and
    /// so has to have whatever was durable everywhere before it was asked for that.</remarks>
    private void TakeIn(TimeSpan now, List<ReplicationEffect> effects)
    {
        if (joining is { } one)
        {
            if (!IsThere(one, now) || (proposed is null && (!HasBlocks(one) || IsBetterLeftOut(one.Node)))) { joining = null; }
            else if (followers[one.Node].Durable >= joinFrom)
            {
                Propose(Reign!.With(one, minInSync), $"node {one.Node} has all of the log", effects);
            }

            return;
        }

        foreach ((NodeId node, FollowerProgress follower) in followers)
        {
            InSyncReplica replica = peers.ReplicaOf(node);
            bool isNear = !follower.IsProbing && log.Last.Index.Value - follower.Matched.Value <= NearEntries;
            if (!isNear || Reign!.Has(node, replica.Boot) || !IsThere(replica, now) || !HasBlocks(replica) || IsBetterLeftOut(node)) { continue; }
            joining = replica;
            joinFrom = log.Last.Index;
            WantDurable(joinFrom, effects);
            SendMore(node, follower, now, effects, evenNothing: true);
            return;
        }
    }

    /// <summary>Whether nothing is committed until a node answers.</summary>
    private bool IsWaitedFor(NodeId node, FollowerProgress follower) =>
        follower.OwesSince is not null && (Reign!.Has(node, follower.Boot) || joining?.Node == node);

    private bool IsThere(InSyncReplica replica, TimeSpan now) =>
        followers.TryGetValue(replica.Node, out FollowerProgress? follower) && follower.Boot == replica.Boot
        && replica.Boot.Value != 0 && now < peers.LeaseFrom(replica);

    private void Propose(Reign next, string reason, List<ReplicationEffect> effects)
    {
        proposed = next;
        effects.Add(new ProposeReign(Reign!, next, reason));
    }
}
