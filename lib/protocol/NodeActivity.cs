using System.Collections.Immutable;
using KvFs.Core;

namespace KvFs.Protocol;

/// <summary>What a storage node has done since it started, and how its pool seems to it.</summary>
/// <remarks>What counts only rises, within one start of the node; rates are the difference of two of these over that of their
/// <paramref name="Clock"/>s.</remarks>
/// <param name="Node">Its number in the pool; 0: it is alone.</param>
/// <param name="Boot">Its process.</param>
/// <param name="Clock">When this was, on a clock of the node's own that only goes on.</param>
/// <param name="IsOk">It acknowledges writes.</param>
/// <param name="Trouble">Why not, or what a person should look at; null: nothing.</param>
/// <param name="DiskBytes">Of the file system that its data is on.</param>
/// <param name="DiskFreeBytes">What is free of it.</param>
/// <param name="BlocksRead">Reads of blocks.</param>
/// <param name="BytesRead">Bytes that they read.</param>
/// <param name="BlocksWritten">Blocks written: those of clients, of other nodes, and copies of its own.</param>
/// <param name="BytesWritten">Bytes of them.</param>
/// <param name="Drives">Those that it serves, ascending by RUID.</param>
public sealed record NodeActivity(
    NodeId Node,
    BootId Boot,
    TimeSpan Clock,
    bool IsOk,
    string? Trouble,
    ulong DiskBytes,
    ulong DiskFreeBytes,
    ulong BlocksRead,
    ulong BytesRead,
    ulong BlocksWritten,
    ulong BytesWritten,
    ImmutableArray<DriveActivity> Drives)
{
    /// <summary>Revision of the map that it knows; 0: it is alone.</summary>
    public ulong Revision { get; init; }

    /// <summary>How the shards are, as far as it can tell; null: it is alone.</summary>
    public PoolCondition? Condition { get; init; }

    /// <summary>The other nodes, as it hears them.</summary>
    public ImmutableDictionary<NodeId, NodePresence> Peers { get; init; } = ImmutableDictionary<NodeId, NodePresence>.Empty;
}

/// <summary>What became of a drive since its node began to serve it.</summary>
/// <param name="Drive">Its RUID.</param>
/// <param name="Name">As its user named it.</param>
/// <param name="UsedBytes">Backed bytes of its files.</param>
/// <param name="QuotaBytes">0: none.</param>
/// <param name="Sessions">Those that are open.</param>
/// <param name="Requests">Of clients.</param>
/// <param name="Commits">Transactions.</param>
/// <param name="CommitTime">How long they took together, until every copy that counts had them.</param>
/// <param name="CommittedBytes">Data that clients committed.</param>
public sealed record DriveActivity(
    DriveId Drive,
    string Name,
    ulong UsedBytes,
    ulong QuotaBytes,
    int Sessions,
    ulong Requests,
    ulong Commits,
    TimeSpan CommitTime,
    ulong CommittedBytes);

/// <summary>How many shards of a pool are how; see <see cref="ShardCondition"/>.</summary>
/// <param name="Full">Shards whose copies are all in sync, where they are to be.</param>
/// <param name="Moving">…, some on their way to another node.</param>
/// <param name="Healing">Shards of which a node learns a copy that is missing.</param>
/// <param name="MissingCopies">Shards that miss a copy that nobody learns.</param>
/// <param name="AtRisk">Shards with one copy of several, or fewer than minInSync.</param>
/// <param name="NoPrimary">Shards that wait for a takeover.</param>
/// <param name="Down">Shards without a copy that counts.</param>
/// <param name="CopiesMissing">Of all shards together.</param>
/// <param name="CopiesWanted">Of each shard.</param>
/// <param name="CopiesPossible">Those that there are nodes for.</param>
public sealed record PoolCondition(
    int Full, int Moving, int Healing, int MissingCopies, int AtRisk, int NoPrimary, int Down, int CopiesMissing, int CopiesWanted, int CopiesPossible)
{
    public static PoolCondition Of(PoolHealth health)
    {
        ArgumentNullException.ThrowIfNull(health);
        return new(
            health.Count(ShardCondition.Full),
            health.Count(ShardCondition.Moving),
            health.Count(ShardCondition.Healing),
            health.Count(ShardCondition.MissingCopies),
            health.Count(ShardCondition.AtRisk),
            health.Count(ShardCondition.NoPrimary),
            health.Count(ShardCondition.Down),
            health.CopiesMissing,
            health.WantedCopies,
            health.PossibleCopies);
    }
}
