using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>What a pool wants of a node. Numbers as the map's text has them by name: see
/// <see cref="PoolMapCodec"/>.</summary>
public enum NodeState : byte
{
    /// <summary>On the ring: gets and keeps copies.</summary>
    Up = 1,

    /// <summary>Off the ring: its copies move away, primacies first. Serves until then.</summary>
    Draining = 2,

    /// <summary>Removed for good. Keeps nothing and never comes back; its disk is not taken again under any
    /// name.</summary>
    Gone = 3,
}

/// <summary>A storage node of the pool map.</summary>
/// <param name="Id">Given by the map when it joined; never reused.</param>
/// <param name="Name">What people call it. No other node that is not gone has the same.</param>
/// <param name="Place">The name it has on the ring; its own, or that of the node that it replaced. Unique among those
/// that are up.</param>
/// <param name="Addresses">Where it listens, best first: <c>host:port</c>, or what else its transport knows.</param>
/// <param name="Zone">What fails together with it; empty is a zone, too.</param>
/// <param name="Weight">Its share of the pool, in percent: 1 to <see cref="PoolLimits.MaxWeight"/>.</param>
/// <param name="State">What the pool wants of it.</param>
/// <param name="Disk">The disk it joined with. With another one it is another node.</param>
public sealed record PoolNode(
    NodeId Id,
    string Name,
    string Place,
    ImmutableArray<string> Addresses,
    string Zone,
    uint Weight,
    NodeState State,
    DiskId Disk)
{
    public RingNode OnRing => new(Id, Place, Zone, Weight);

    public bool Equals(PoolNode? other) =>
        other is not null && Id == other.Id && Name == other.Name && Place == other.Place && Zone == other.Zone
        && Weight == other.Weight && State == other.State && Disk == other.Disk
        && Addresses.AsSpan().SequenceEqual(other.Addresses.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Id, Name, Place, Zone, Weight, State, Disk);
}

/// <summary>What a node says of itself when it joins.</summary>
public sealed record NodeIntroduction(string Name, ImmutableArray<string> Addresses, string Zone, uint Weight, DiskId Disk);
