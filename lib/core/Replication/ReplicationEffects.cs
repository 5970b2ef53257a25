using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>What a node must do for its shards. The order of effects is part of the contract: what was stored before an answer
/// is stored before it is sent.</summary>
public abstract record ReplicationEffect;

/// <summary>Tell a node something.</summary>
public sealed record SendMessage(NodeId To, ReplicationMessage Message) : ReplicationEffect;

/// <summary>Send entries of the own log: <see cref="AppendEntries"/> with their contents.</summary>
public sealed record SendEntries(NodeId To, AppendEntries Entries) : ReplicationEffect;

/// <summary>Send what is applied of a shard, and the position that it shows: <see cref="ShardSnapshot"/>.</summary>
public sealed record SendSnapshot(NodeId To, ShardId Shard, Epoch Epoch) : ReplicationEffect;

/// <summary>Store entries of the message in hand at their places: with the operating system, not on disk yet.</summary>
/// <param name="Shard">Whose log.</param>
/// <param name="First">The first of them.</param>
/// <param name="Last">The last of them: the message's last one.</param>
public sealed record StoreEntries(ShardId Shard, LogIndex First, LogIndex Last) : ReplicationEffect;

/// <summary>Store the empty entry that begins a reign.</summary>
public sealed record StoreReignEntry(ShardId Shard, LogPosition Position) : ReplicationEffect;

/// <summary>Remove all entries behind one; none of them was applied.</summary>
public sealed record CutLog(ShardId Shard, LogIndex After) : ReplicationEffect;

/// <summary>Put the snapshot of the message in hand in the place of all that there is of a shard, make it durable, and tell <see
/// cref="ShardReplica.OnInstalled"/>. It may take long, and other effects do not wait for it. A process that ends meanwhile leaves a shard
/// of which nothing is there.</summary>
public sealed record InstallSnapshot(ShardId Shard, LogPosition At, ImmutableArray<LogRun> EndedBefore) : ReplicationEffect;

/// <summary>Make all that was stored of a shard's log durable, and tell <see cref="ShardReplica.OnSynced"/>.</summary>
public sealed record SyncLog(ShardId Shard) : ReplicationEffect;

/// <summary>Apply the entries up to one, in order.</summary>
public sealed record ApplyEntries(ShardId Shard, LogIndex UpTo) : ReplicationEffect;

/// <summary>Requests may be answered by this node: those that were submitted, and new ones.</summary>
public sealed record BeginServing(ShardId Shard, Epoch Epoch) : ReplicationEffect;

/// <summary>The reign is over: nobody can tell what becomes of what was submitted and not answered.</summary>
public sealed record EndServing(ShardId Shard) : ReplicationEffect;

/// <summary>Put another reign into the pool map, if the shard's is still the expected one, and tell <see
/// cref="ShardReplica.OnProposed"/>.</summary>
public sealed record ProposeReign(Reign Expected, Reign Next, string Reason) : ReplicationEffect;
