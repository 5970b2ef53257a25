using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>What nodes of a pool tell one another about their shards. Source: docs/design.md, section 7.</summary>
public abstract record ReplicationMessage;

/// <summary>"I am there", every <see cref="ReplicationTimes.Beacon"/>.</summary>
/// <param name="Number">Rises; comes back in the acknowledgement.</param>
/// <param name="Revision">Of the pool map that the sender knows.</param>
/// <param name="Disk">How the sender's disk is.</param>
/// <param name="IsLeaving">The sender is about to stop: it is given nothing any more.</param>
public sealed record Beacon(ulong Number, ulong Revision, DiskCondition Disk = DiskCondition.Fine, bool IsLeaving = false) : ReplicationMessage;

/// <summary>"I heard you": until a lease has passed the sender serves nothing that the other one is primary of in the map of that
/// revision.</summary>
public sealed record BeaconAck(ulong Number, ulong Revision) : ReplicationMessage;

/// <summary>"Do you still hear that node?"</summary>
public sealed record VoteRequest(NodeId Suspect) : ReplicationMessage;

/// <param name="Suspect">Who was asked about.</param>
/// <param name="IsSilent">It was not heard for <see cref="ReplicationTimes.Suspicion"/>.</param>
public sealed record Vote(NodeId Suspect, bool IsSilent) : ReplicationMessage;

/// <summary>What a node's disk has of a shard of which nobody is in sync any more.</summary>
/// <param name="Shard">Which.</param>
/// <param name="Epoch">The reign that is over.</param>
/// <param name="Last">The last entry there.</param>
public sealed record ColdReport(ShardId Shard, Epoch Epoch, LogPosition Last) : ReplicationMessage;

/// <summary>Entries of a shard's log, from its primary; the driver adds what is in them.</summary>
/// <param name="Shard">Whose log.</param>
/// <param name="Epoch">The reign of the sender.</param>
/// <param name="Previous">The place before the first entry.</param>
/// <param name="Entries">The reigns that wrote the entries, one for each.</param>
/// <param name="Committed">What every in-sync replica has.</param>
/// <param name="WantsDurable">What is to be on disk soon: its own message says when.</param>
public sealed record AppendEntries(
    ShardId Shard,
    Epoch Epoch,
    LogPosition Previous,
    ImmutableArray<Epoch> Entries,
    LogIndex Committed,
    LogIndex WantsDurable) : ReplicationMessage
{
    public LogIndex Last => new(Previous.Index.Value + (ulong)Entries.Length);
}

/// <summary>How much a replica has of its primary's log.</summary>
/// <param name="Shard">Whose log.</param>
/// <param name="Epoch">The reign it speaks of.</param>
/// <param name="Matched">It has all up to here, and it is the primary's.</param>
/// <param name="Durable">On its disk up to here.</param>
public sealed record AppendReply(ShardId Shard, Epoch Epoch, LogIndex Matched, LogIndex Durable) : ReplicationMessage;

/// <summary>The place before the entries is not in the replica's log.</summary>
/// <param name="Shard">Whose log.</param>
/// <param name="Epoch">The reign it speaks of.</param>
/// <param name="Runs">What is in it.</param>
/// <param name="Needs">A snapshot: what was applied is not what the primary has.</param>
public sealed record AppendMismatch(ShardId Shard, Epoch Epoch, ImmutableArray<LogRun> Runs, bool Needs)
    : ReplicationMessage;

/// <summary>All that a shard's log led to up to an entry; the driver adds the records.</summary>
/// <param name="Shard">Which.</param>
/// <param name="Epoch">The reign of the sender.</param>
/// <param name="At">The entry.</param>
/// <param name="EndedBefore">The reigns that ended before it, as <see cref="LogShape.EndedBefore"/>.</param>
public sealed record ShardSnapshot(ShardId Shard, Epoch Epoch, LogPosition At, ImmutableArray<LogRun> EndedBefore) : ReplicationMessage;

/// <summary>The receiver's reign is over: look at the pool map.</summary>
public sealed record StaleReign(ShardId Shard, Epoch Newer) : ReplicationMessage;
