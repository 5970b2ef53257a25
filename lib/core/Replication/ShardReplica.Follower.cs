namespace KvFs.Core;

/// <summary>A replica under a primary: stores what comes, cuts what is not the primary's, says how far it is.</summary>
public sealed partial class ShardReplica
{
    private NodeId leader;
    private LogIndex matched;

    /// <summary>The place that <see cref="matched"/> names was compared with this primary's log.</summary>
    private bool hasMatched;

    /// <summary>The snapshot that is being put in the place of all that there is.</summary>
    private ShardSnapshot? installing;

    private bool lacksSnapshot;

    /// <summary>A snapshot is being put in the place of all that there was, until <see cref="OnInstalled"/>.</summary>
    public bool IsInstalling => installing is not null;

    /// <summary>Whether the disk has a copy of the shard, however old: not while a snapshot takes the place of what was there, nor, if that
    /// never became whole, until another one does. What is no copy is no candidate for anything.</summary>
    public bool HasCopy => !IsInstalling && !lacksSnapshot;

    /// <summary>Entries of the primary's log, or only the question whether the place before them is there.</summary>
    public void OnEntries(NodeId from, AppendEntries message, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(message);
        ArgumentNullException.ThrowIfNull(effects);
        if (!IsSane(message) || !Follow(from, message.Epoch, effects) || IsInstalling) { return; }

        if (lacksSnapshot)
        {
            Mismatch(needsSnapshot: true, effects);
            return;
        }

        // Below what was forgotten nothing can be compared: where the logs part there, only a snapshot helps.
        bool isBelow = message.Previous.Index < log.Start.Index;
        if (isBelow ? !hasMatched || matched < log.Start.Index : !log.Has(message.Previous))
        {
            Mismatch(needsSnapshot: isBelow, effects);
            return;
        }

        if (!TryStore(message, effects)) { return; }
        if (message.Last > matched) { matched = message.Last; }
        hasMatched = true;
        Commit(message.Committed < matched ? message.Committed : matched, effects);
        WantDurable(message.WantsDurable < matched ? message.WantsDurable : matched, effects);
        Reply(effects);
    }

    /// <summary>All that the primary has applied. Until it is in place nothing else is taken, and nothing said of what this node has.
    /// </summary>
    public void OnSnapshot(NodeId from, ShardSnapshot message, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(message);
        ArgumentNullException.ThrowIfNull(effects);
        if (message.At.Epoch > message.Epoch || !Follow(from, message.Epoch, effects) || IsInstalling) { return; }
        if (hasMatched && matched >= message.At.Index)
        {
            Reply(effects);
            return;
        }

        installing = message;
        effects.Add(new InstallSnapshot(Shard, message.At, message.EndedBefore));
    }

    /// <summary>What <see cref="InstallSnapshot"/> asked for is done, and on disk.</summary>
    public void OnInstalled(TimeSpan now, List<ReplicationEffect> effects)
    {
        ArgumentNullException.ThrowIfNull(effects);
        Invariant.Check(installing is not null);
        ShardSnapshot whole = installing;
        installing = null;
        lacksSnapshot = false;
        log.Restart(whole.At, whole.EndedBefore);
        Committed = Applied = synced = syncTarget = whole.At.Index;
        if (Reign is { } reign && IsMine(reign))
        {
            BeginReign(leasesOver, now, effects);
            return;
        }

        // Another primary has what was applied, too, but its log is compared first.
        if (whole.Epoch != seen) { return; }
        matched = whole.At.Index;
        hasMatched = true;
        Reply(effects);
    }

    /// <summary>Whether the reigns of entries rise, up to the sender's.</summary>
    private static bool IsSane(AppendEntries message)
    {
        Epoch last = message.Previous.Epoch;
        foreach (Epoch epoch in message.Entries)
        {
            if (epoch < last) { return false; }
            last = epoch;
        }

        return last <= message.Epoch;
    }

    /// <summary>Takes a message's sender for the primary; false: its reign is over.</summary>
    private bool Follow(NodeId from, Epoch epoch, List<ReplicationEffect> effects)
    {
        if (epoch < seen)
        {
            effects.Add(new SendMessage(from, new StaleReign(Shard, seen)));
            return false;
        }

        // One node is primary of a reign, and says so itself only when the map does.
        if (epoch == seen && IsPrimary) { return false; }
        if (epoch > seen || leader != from)
        {
            EndReign(effects);
            seen = epoch;
            leader = from;
            matched = wanted = default;
            hasMatched = false;
        }

        return true;
    }

    /// <summary>Stores what is not there yet; false if that would contradict what was applied.</summary>
    private bool TryStore(AppendEntries message, List<ReplicationEffect> effects)
    {
        LogIndex index = message.Previous.Index;
        LogIndex first = default;
        foreach (Epoch epoch in message.Entries)
        {
            index = index.Next;
            if (first == default)
            {
                // What was forgotten was committed, and is compared with this primary's log: the place above it is.
                if (index <= log.Start.Index) { continue; }
                if (index <= log.Last.Index)
                {
                    if (log.EpochAt(index) == epoch) { continue; }
                    if (index <= Applied)
                    {
                        Mismatch(needsSnapshot: true, effects);
                        return false;
                    }

                    Cut(new(index.Value - 1), effects);
                }

                first = index;
            }

            Invariant.Check(log.Append(epoch) == index);
        }

        if (first != default) { effects.Add(new StoreEntries(Shard, first, message.Last)); }
        return true;
    }

    private void Mismatch(bool needsSnapshot, List<ReplicationEffect> effects) =>
        effects.Add(new SendMessage(leader, new AppendMismatch(Shard, seen, log.Runs, needsSnapshot)));

    private void Reply(List<ReplicationEffect> effects)
    {
        if (!hasMatched || IsInstalling) { return; }
        LogIndex durable = synced < matched ? synced : matched;
        effects.Add(new SendMessage(leader, new AppendReply(Shard, seen, matched, durable)));
    }
}
