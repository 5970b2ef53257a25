using System.Diagnostics.CodeAnalysis;

namespace KvFs.Core;

/// <summary>What became of a change to a pool map: the new map, or why there is none.</summary>
/// <param name="Status">Ok. StaleEpoch: the shard's entry is not the one that the caller compared; look at the newer map.
/// NotFound: no such node or shard. Exists: it is so already, or the name or disk is taken. NotPermitted: it would
/// break a promise to the data. Invalid: what was asked makes no sense.</param>
/// <param name="Map">The new map, one revision on; null unless Ok.</param>
/// <param name="Reason">Why not, for people; empty if Ok.</param>
public readonly record struct MapChange(Status Status, PoolMap? Map, string Reason)
{
    [MemberNotNullWhen(true, nameof(Map))]
    public bool IsDone => Status == Status.Ok;

    public static MapChange Refuse(Status status, string reason) => new(status, null, reason);
}
