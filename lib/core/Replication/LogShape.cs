using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>A place in a shard's log: (reign that wrote the entry, its number). The same place in two logs means the same
/// entry, and the same entries before it.</summary>
public readonly record struct LogPosition(Epoch Epoch, LogIndex Index) : IComparable<LogPosition>
{
    public int CompareTo(LogPosition other)
    {
        int byEpoch = Epoch.CompareTo(other.Epoch);
        return byEpoch != 0 ? byEpoch : Index.CompareTo(other.Index);
    }

    public override string ToString() => $"{Epoch}.{Index}";

    public static bool operator <(LogPosition left, LogPosition right) => left.CompareTo(right) < 0;

    public static bool operator >(LogPosition left, LogPosition right) => left.CompareTo(right) > 0;

    public static bool operator <=(LogPosition left, LogPosition right) => left.CompareTo(right) <= 0;

    public static bool operator >=(LogPosition left, LogPosition right) => left.CompareTo(right) >= 0;
}

/// <summary>Entries of one reign that follow each other: up to <paramref name="Last"/>, from behind the run before.</summary>
public readonly record struct LogRun(Epoch Epoch, LogIndex Last);

/// <summary>Which reign wrote which entries of a shard's log; not what is in them.</summary>
/// <remarks>Not thread safe. Entries up to <see cref="Start"/> were applied and forgotten; the runs begin with it, so that
/// its epoch is known. Epochs rise from run to run. Of the reigns before them it is remembered where they ended, because clients name
/// places in the log long after the entries were forgotten (design, section 6).</remarks>
public sealed class LogShape
{
    /// <summary>Reigns that ended before <see cref="Start"/> and are remembered, at the most: 16 KiB, and far more than there are between
    /// two answers to a session.</summary>
    public const int MaxEnded = 1_000;

    private readonly List<LogRun> ended = [];
    private readonly List<LogRun> runs = [];

    /// <param name="start">The last entry that was forgotten; default: none was.</param>
    /// <param name="endedBefore">The reigns that ended before it, as <see cref="EndedBefore"/> told them; none: nobody knows.</param>
    public LogShape(LogPosition start = default, ImmutableArray<LogRun> endedBefore = default)
    {
        Restart(start, endedBefore);
    }

    /// <summary>The last entry that was forgotten.</summary>
    public LogPosition Start { get; private set; }

    /// <summary>The last entry.</summary>
    public LogPosition Last => new(runs[^1].Epoch, runs[^1].Last);

    /// <summary>The runs, as others are told of them.</summary>
    public ImmutableArray<LogRun> Runs => [.. runs];

    /// <summary>Appends one entry.</summary>
    public LogIndex Append(Epoch epoch)
    {
        LogRun last = runs[^1];
        Invariant.Check(epoch >= last.Epoch);
        LogIndex next = last.Last.Next;
        if (epoch == last.Epoch) { runs[^1] = last with { Last = next }; }
        else { runs.Add(new(epoch, next)); }
        return next;
    }

    /// <summary>Forgets all behind an entry.</summary>
    public void CutAfter(LogIndex index)
    {
        Invariant.Check(index >= Start.Index);
        while (runs.Count > 1 && runs[^2].Last >= index) { runs.RemoveAt(runs.Count - 1); }
        if (runs[^1].Last > index) { runs[^1] = runs[^1] with { Last = index }; }
    }

    /// <summary>Forgets all up to an entry, which stays known as <see cref="Start"/>.</summary>
    public void TrimTo(LogIndex index)
    {
        if (index <= Start.Index) { return; }
        Invariant.Check(index <= Last.Index);
        Start = new(EpochAt(index), index);
        int count = runs.FindIndex(run => run.Last >= index);
        ended.AddRange(runs.Take(count));
        runs.RemoveRange(0, count);
        if (ended.Count > MaxEnded) { ended.RemoveRange(0, ended.Count - MaxEnded); }
    }

    /// <summary>Begins anew behind an entry: what a snapshot shows.</summary>
    /// <param name="start">The entry.</param>
    /// <param name="endedBefore">The reigns that ended before it, as <see cref="EndedBefore"/> told them; none: nobody knows.</param>
    public void Restart(LogPosition start, ImmutableArray<LogRun> endedBefore)
    {
        ImmutableArray<LogRun> known = endedBefore.IsDefault ? [] : endedBefore;
        Invariant.Check(MayHaveEnded(known, start));
        ended.Clear();
        ended.AddRange(known);
        runs.Clear();
        runs.Add(new(start.Epoch, start.Index));
        Start = start;
    }

    /// <summary>The reigns whose last entries are before an entry, ascending, as far as they are remembered.</summary>
    public ImmutableArray<LogRun> EndedBefore(LogIndex index) =>
        [.. ended.Concat(runs).Where(run => run.Last < index).TakeLast(MaxEnded)];

    /// <summary>Whether reigns can have ended before an entry as somebody says: not too many, in order, and all before it.</summary>
    public static bool MayHaveEnded(ImmutableArray<LogRun> endedBefore, LogPosition start)
    {
        if (endedBefore.Length > MaxEnded) { return false; }
        LogRun next = new(start.Epoch, start.Index);
        for (int at = endedBefore.Length - 1; at >= 0; at--)
        {
            if (endedBefore[at].Epoch >= next.Epoch || endedBefore[at].Last >= next.Last) { return false; }
            next = endedBefore[at];
        }

        return true;
    }

    /// <summary>The reign that wrote an entry; of what was forgotten or is not there: none.</summary>
    public Epoch EpochAt(LogIndex index)
    {
        if (index < Start.Index) { return default; }
        foreach (LogRun run in runs)
        {
            if (index <= run.Last) { return run.Epoch; }
        }

        return default;
    }

    /// <summary>Whether an entry is there, or was until it was forgotten. Before the oldest reign that is remembered only this is known:
    /// no later reign wrote anything there; what fits is taken to be there.</summary>
    public bool Has(LogPosition position)
    {
        if (position.Index > Last.Index) { return false; }
        if (position.Index >= Start.Index) { return EpochAt(position.Index) == position.Epoch; }
        LogPosition oldest = ended.Count > 0 ? new(ended[0].Epoch, ended[0].Last) : Start;
        if (position.Index < oldest.Index) { return position.Epoch <= oldest.Epoch; }
        int at = ended.FindIndex(run => run.Last >= position.Index);
        return (at < 0 ? runs[0] : ended[at]).Epoch == position.Epoch;
    }

    /// <summary>The last entry that this log and another one share.</summary>
    /// <returns>Its number; one before <see cref="Start"/>: nothing that is here, so the other one needs a snapshot.</returns>
    public LogIndex SharedWith(ImmutableArray<LogRun> others)
    {
        for (int at = others.Length - 1; at >= 0; at--)
        {
            LogRun theirs = others[at];
            foreach (LogRun ours in runs)
            {
                if (ours.Epoch != theirs.Epoch) { continue; }
                return theirs.Last < ours.Last ? theirs.Last : ours.Last;
            }
        }

        return default;
    }
}
