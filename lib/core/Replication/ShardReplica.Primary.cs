using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>A primary: hands out places in the log, sends entries, and knows when all have them.</summary>
public sealed partial class ShardReplica
{
    /// <summary>Entries of one message at the most.</summary>
    private const int MessageEntries = 256;

    /// <summary>Messages that may be under way to one node: what comes meanwhile goes together, once one of them has arrived. One is on its way
    /// while the other is worked on.</summary>
    private const int WindowMessages = 2;

    private readonly SortedDictionary<NodeId, FollowerProgress> followers = [];
    private InSyncReplica? joining;
    private LogIndex reignEntry;
    private Epoch firstEpoch;
    private TimeSpan serveFrom;

    /// <summary>From when on a replica that acknowledged no beacon counts as silent: a new primary has asked nobody yet.</summary>
    private TimeSpan silentFrom;
    private bool isServing;
    private bool isLeaving;
    private bool isSigningOver;

    /// <summary>This node is the shard's primary, which does not mean yet that it may answer anything.</summary>
    public bool IsPrimary { get; private set; }

    /// <summary>The reign has begun: all in-sync replicas have its first entry, and leases before it are over.</summary>
    public bool IsServing => isServing;

    /// <summary>The last entry that every in-sync replica has on disk; a primary's knowledge.</summary>
    public LogIndex Durable { get; private set; }

    /// <summary>Whether this node may answer requests at a moment: its reign has begun, and its lease holds. Look just before
    /// each answer.</summary>
    public bool CanServe(TimeSpan now) => isServing && !isSigningOver && now < LeaseEnd();

    /// <summary>Whether this node may order something at a moment.</summary>
    public bool CanSubmit(TimeSpan now) => !isLeaving && CanServe(now);

    /// <summary>Whether records tell for certain what is gone for good: a primary's that may answer, if they are all that was committed; and of
    /// one that may not yet, if they are all that its log has, which it never cuts. Too few copies may be all that keeps it from answering,
    /// and the others count only once they have every block that is not gone.</summary>
    /// <param name="applied">The last entry that the records have.</param>
    /// <param name="now">The time.</param>
    public bool TellsWhatIsGone(LogIndex applied, TimeSpan now) => IsPrimary && (CanServe(now) ? applied >= Committed : applied == Last.Index);

    /// <summary>Takes the next place in the log for an entry, which the driver stores before it carries out the effects.
    /// </summary>
    /// <param name="now">The moment.</param>
    /// <param name="wantsDurable">It is wanted on all disks soon, as with <see cref="RequestDurable"/>: its own message says so.</param>
    /// <param name="effects">Gets what is to be done.</param>
    /// <param name="position">Its place.</param>
    /// <returns>False: this node may not order anything now.</returns>
    public bool TrySubmit(TimeSpan now, bool wantsDurable, List<ReplicationEffect> effects, out LogPosition position)
    {
        ArgumentNullException.ThrowIfNull(effects);
        position = default;
        if (!CanSubmit(now)) { return false; }
        position = new(Reign!.Epoch, log.Append(Reign.Epoch));
        effects.Add(new StoreEntries(Shard, position.Index, position.Index));
        if (wantsDurable) { wanted = position.Index; }
        SendAll(now, effects);
        if (wantsDurable) { SyncIfWanted(effects); }
        AdvanceCommit(effects);
        return true;
    }

    /// <summary>Wants entries on the disks of all in-sync replicas soon; <see cref="Durable"/> says when they are.</summary>
    public void RequestDurable(LogIndex upTo, TimeSpan now, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(effects);
        if (!IsPrimary || upTo <= wanted) { return; }
        WantDurable(upTo, effects);
        foreach ((NodeId node, FollowerProgress follower) in followers)
        {
            SendMore(node, follower, now, effects, evenNothing: true);
        }
    }

    /// <summary>A node says how far it is.</summary>
    public void OnReply(NodeId from, BootId fromBoot, AppendReply reply, TimeSpan now, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(reply);
        ArgumentNullException.ThrowIfNull(effects);
        if (FollowerOf(from, fromBoot, reply.Epoch, now, effects) is not { } follower) { return; }

        // More than there is here is nonsense: no replica of this reign has that.
        if (reply.Matched > log.Last.Index || reply.Durable > reply.Matched) { return; }
        follower.OnReply(reply, now);
        AdvanceCommit(effects);
        AdvanceDurable();
        SendMore(from, follower, now, effects);
    }

    /// <summary>A node's log parts from this one.</summary>
    public void OnMismatch(
        NodeId from, BootId fromBoot, AppendMismatch message, TimeSpan now, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(message);
        ArgumentNullException.ThrowIfNull(effects);
        if (FollowerOf(from, fromBoot, message.Epoch, now, effects) is not { } follower) { return; }
        if (!follower.IsProbing && !message.Needs)
        {
            // Something before it was lost, or is late.
            SendAgain(from, follower, times.Resend / 10, now, effects);
            return;
        }

        LogIndex shared = log.SharedWith(message.Runs);
        if (message.Needs || shared < log.Start.Index)
        {
            follower.IsProbing = true;

            // From there on it is asked, in a later reign, too: below what the snapshot shows it cannot tell what it has.
            follower.SendFrom(log.Last.Index.Next);
            if (follower.SnapshotSentAt is { } before && now - before < times.Resend) { return; }
            follower.SnapshotSentAt = follower.SentAt = now;
            follower.OwesSince ??= now;
            effects.Add(new SendSnapshot(from, Shard, Reign!.Epoch));
            return;
        }

        follower.SendFrom(shared.Next);
        SendMore(from, follower, now, effects, evenNothing: true);
    }

    /// <summary>Somebody knows of a later reign.</summary>
    public void OnStale(StaleReign message, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (message.Newer <= seen) { return; }
        seen = message.Newer;
        EndReign(effects);
    }

    private FollowerProgress? FollowerOf(
        NodeId from, BootId fromBoot, Epoch epoch, TimeSpan now, List<ReplicationEffect> effects)
    {
        if (!IsPrimary || epoch < firstEpoch || epoch > Reign!.Epoch) { return null; }
        if (!followers.TryGetValue(from, out FollowerProgress? follower) || fromBoot < follower.Boot) { return null; }
        if (fromBoot == follower.Boot) { return follower; }

        // Another process: what the last one had in memory this one may not have.
        follower.Restart(fromBoot, log.Last.Index.Next);
        SendMore(from, follower, now, effects, evenNothing: true);
        return null;
    }

    private void BeginReign(TimeSpan from, TimeSpan now, List<ReplicationEffect> effects)
    {
        IsPrimary = true;
        isServing = isLeaving = isSigningOver = false;
        serveFrom = from;
        silentFrom = now + times.Lease;
        firstEpoch = Reign!.Epoch;
        leader = default;
        hasMatched = false;
        Durable = wanted = default;
        joining = null;
        proposed = null;
        followers.Clear();
        reignEntry = log.Append(firstEpoch);
        effects.Add(new StoreReignEntry(Shard, log.Last));
        UpdateFollowers(now, effects);
        AdvanceCommit(effects);
    }

    private void EndReign(List<ReplicationEffect> effects)
    {
        if (!IsPrimary) { return; }
        IsPrimary = isServing = isLeaving = isSigningOver = false;
        successor = default;
        joining = null;
        proposed = null;
        followers.Clear();
        effects.Add(new EndServing(Shard));
    }

    /// <summary>Adds and removes followers so that all members of the reign are.</summary>
    private void UpdateFollowers(TimeSpan now, List<ReplicationEffect> effects)
    {
        ImmutableArray<NodeId> members = [.. Reign!.Members];
        foreach (NodeId gone in followers.Keys.Where(node => !members.Contains(node)).ToArray()) { followers.Remove(gone); }
        foreach (NodeId node in members)
        {
            if (node == self || followers.ContainsKey(node)) { continue; }
            FollowerProgress follower = new();
            follower.Restart(peers.BootOf(node), log.Last.Index);
            followers.Add(node, follower);
            SendMore(node, follower, now, effects, evenNothing: true);
        }
    }

    private void SendAll(TimeSpan now, List<ReplicationEffect> effects)
    {
        foreach ((NodeId node, FollowerProgress follower) in followers) { SendMore(node, follower, now, effects); }
    }

    /// <summary>Sends what a follower does not have, as much as may be under way; with <paramref name="evenNothing"/> a message
    /// also if there is none of that.</summary>
    private void SendMore(
        NodeId node, FollowerProgress follower, TimeSpan now, List<ReplicationEffect> effects, bool evenNothing = false)
    {
        bool hasSent = false;

        // What it lacks was forgotten here: its answer to the question tells what to do.
        if (follower.Next <= log.Start.Index && log.Start.Index.Value > 0) { follower.IsProbing = true; }
        if (!follower.IsProbing)
        {
            while (follower.Next <= log.Last.Index && follower.MessagesUnderWay < WindowMessages)
            {
                int count = (int)Math.Min(MessageEntries, log.Last.Index.Value - follower.Next.Value + 1);
                Send(node, follower, count, now, effects);
                follower.OnSent(count);
                hasSent = true;
            }
        }

        if (evenNothing && !hasSent) { Send(node, follower, 0, now, effects); }
    }

    /// <summary>Sends all once more that a follower is not known to have, unless that was done lately.</summary>
    private void SendAgain(
        NodeId node, FollowerProgress follower, TimeSpan pause, TimeSpan now, List<ReplicationEffect> effects)
    {
        if (now - follower.ResentAt < pause) { return; }
        follower.ResentAt = now;
        if (!follower.IsProbing) { follower.SendFrom(follower.Matched.Next); }
        SendMore(node, follower, now, effects, evenNothing: true);
    }

    private void Send(NodeId node, FollowerProgress follower, int count, TimeSpan now, List<ReplicationEffect> effects)
    {
        LogIndex previous = new(follower.Next.Value - 1);
        if (previous < log.Start.Index) { previous = log.Start.Index; }
        ImmutableArray<Epoch>.Builder entries = ImmutableArray.CreateBuilder<Epoch>(count);
        for (int at = 1; at <= count; at++) { entries.Add(log.EpochAt(new(previous.Value + (ulong)at))); }
        follower.OwesSince ??= now;
        follower.SentAt = now;
        effects.Add(new SendEntries(node, new(
            Shard,
            Reign!.Epoch,
            new(log.EpochAt(previous), previous),
            entries.MoveToImmutable(),
            Committed,
            wanted)));
    }

    /// <summary>What all whose word counts have of something.</summary>
    private LogIndex Least(LogIndex own, Func<FollowerProgress, LogIndex> reached)
    {
        LogIndex least = own;
        foreach (InSyncReplica replica in Counted())
        {
            LogIndex theirs = followers.TryGetValue(replica.Node, out FollowerProgress? follower)
                && follower.Boot == replica.Boot ? reached(follower) : default;
            if (theirs < least) { least = theirs; }
        }

        return least;
    }

    /// <summary>The others whose acknowledgement is needed: those in sync, and who may be by now.</summary>
    private IEnumerable<InSyncReplica> Counted()
    {
        foreach (InSyncReplica replica in Reign!.InSync)
        {
            if (replica.Node != self) { yield return replica; }
        }

        if (joining is { } one) { yield return one; }
    }

    private void AdvanceCommit(List<ReplicationEffect> effects)
    {
        if (IsPrimary) { Commit(Least(log.Last.Index, static follower => follower.Matched), effects); }
    }

    private void AdvanceDurable()
    {
        LogIndex least = Least(synced, static follower => follower.Durable);
        if (least > Durable) { Durable = least; }
    }

    private TimeSpan LeaseEnd()
    {
        TimeSpan end = TimeSpan.MaxValue;
        foreach (InSyncReplica replica in Counted())
        {
            TimeSpan until = peers.LeaseFrom(replica);
            if (until < end) { end = until; }
        }

        return end;
    }
}
