using System.Collections.Immutable;
using System.Globalization;

namespace KvFs.Core;

/// <summary>The name of a storage node in the pool map. 0 is "none".</summary>
public readonly record struct NodeId(uint Value) : IComparable<NodeId>
{
    public int CompareTo(NodeId other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    public static bool operator <(NodeId left, NodeId right) => left.Value < right.Value;

    public static bool operator >(NodeId left, NodeId right) => left.Value > right.Value;

    public static bool operator <=(NodeId left, NodeId right) => left.Value <= right.Value;

    public static bool operator >=(NodeId left, NodeId right) => left.Value >= right.Value;
}

/// <summary>Decides when an entry of one shard's log is committed, and when it is durable.</summary>
/// <remarks>
/// Pure, not thread safe: the shard's owner keeps it. Primary-backup under one epoch: an entry is committed when every
/// in-sync replica has it (in its operating system's memory: it survives the death of a process), durable when every one
/// has it on disk. One replica is the case n = 1. Source: docs/design.md, sections 6 and 7.
/// </remarks>
public sealed class PrimaryLog
{
    private readonly ImmutableArray<NodeId> inSync;
    private readonly LogIndex[] stored;
    private readonly LogIndex[] durable;

    /// <param name="epoch">This reign.</param>
    /// <param name="inSync">All replicas whose word counts, this node among them.</param>
    /// <param name="last">The last entry that all of them have, committed and durable, when the reign starts.</param>
    public PrimaryLog(Epoch epoch, ImmutableArray<NodeId> inSync, LogIndex last)
    {
        Invariant.Check(inSync.Length > 0);
        Epoch = epoch;
        this.inSync = inSync;
        stored = new LogIndex[inSync.Length];
        durable = new LogIndex[inSync.Length];
        Array.Fill(stored, last);
        Array.Fill(durable, last);
        Last = Committed = Durable = last;
    }

    public Epoch Epoch { get; }

    /// <summary>The last entry that was handed out.</summary>
    public LogIndex Last { get; private set; }

    /// <summary>The last entry that every in-sync replica has.</summary>
    public LogIndex Committed { get; private set; }

    /// <summary>The last entry that every in-sync replica has on disk.</summary>
    public LogIndex Durable { get; private set; }

    /// <summary>Takes the next place in the log.</summary>
    public LogIndex Append()
    {
        Last = Last.Next;
        return Last;
    }

    /// <summary>A replica says that it has all entries up to one.</summary>
    public void OnStored(NodeId node, Epoch reported, LogIndex upTo) =>
        Committed = Advance(stored, Committed, node, reported, upTo);

    /// <summary>A replica says that it has all entries up to one on disk.</summary>
    public void OnDurable(NodeId node, Epoch reported, LogIndex upTo) =>
        Durable = Advance(durable, Durable, node, reported, upTo);

    private LogIndex Advance(LogIndex[] marks, LogIndex reached, NodeId node, Epoch reported, LogIndex upTo)
    {
        int at = inSync.IndexOf(node);
        if (reported != Epoch || at < 0) { return reached; }  // It says nothing about this reign's log.
        Invariant.Check(upTo <= Last);
        if (upTo > marks[at]) { marks[at] = upTo; }
        LogIndex least = marks[0];
        foreach (LogIndex mark in marks) { least = mark < least ? mark : least; }
        Invariant.Check(least >= reached);
        return least;
    }
}
