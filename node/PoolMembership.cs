using System.Runtime.Versioning;
using System.Security.Cryptography;
using KvFs.Authority;
using KvFs.Core;
using KvFs.Node.Replication;
using KvFs.Node.Storage;

namespace KvFs.Node;

/// <summary>How a node comes to have its place in the pool map.</summary>
[SupportedOSPlatform("linux")]
internal static class PoolMembership
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(200);

    /// <summary>A boot id for a start from a disk.</summary>
    public static BootId DrawBoot(ulong starts)
    {
        Span<byte> random = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(random);
        return new(((UInt128)starts << 64) | BitConverter.ToUInt64(random));
    }

    /// <summary>Finds this disk in the pool map; a new one joins; where there is no pool yet, it is founded if that was asked for.
    /// Waits as long as the authority does not answer.</summary>
    /// <param name="options">Where the map lives, and who this is.</param>
    /// <param name="past">What the disk has been in.</param>
    /// <param name="disk">It.</param>
    /// <param name="boot">Of this start.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StorageException">There is no pool, or it takes this node not; the message says what to do.</exception>
    public static async Task<Membership> EnterAsync(
        PoolNodeOptions options, PoolPast past, DiskId disk, BootId boot, CancellationToken cancellation)
    {
        NodeIntroduction self = Introduce(options, disk);
        while (true)
        {
            AuthorityAnswer answer = await options.Authority.ReadAsync(cancellation);
            if (Refuse(answer, past) is { } refusal)
            {
                return past.Known is { } known ? Rest(known, self, boot, refusal) : throw NoMapOf(past, refusal);
            }

            switch (answer.Outcome)
            {
                case AuthorityOutcome.Ok:
                    MapChange change = Change(options, answer.Map, self, boot);
                    if (change.IsDone)
                    {
                        answer = await options.Authority.CompareAndSwapAsync(answer.Map?.Revision ?? 0, change.Map!, cancellation);
                        if (answer is not { Outcome: AuthorityOutcome.Ok, Map: not null }) { break; }
                    }
                    else if (change.Status != Status.Exists)
                    {
                        throw new StorageException(change.Status, $"The pool does not take this node: {change.Reason}.");
                    }

                    PoolNode found = answer.Map!.Nodes.FirstOrDefault(node => node.Disk == disk)
                        ?? throw new StorageException(change.Status, $"The pool does not take this node: {change.Reason}.");
                    return new(answer.Map, new(found.Id, disk, boot), null);
                case AuthorityOutcome.Damaged:
                    throw new StorageException(Status.Corrupt, $"The pool map cannot be read: {answer.Reason}. Restore it from a copy.");
                default:
                    break;
            }

            await Task.Delay(s_pause, options.Storage.Clock, cancellation);
        }
    }

    /// <summary>Says anew where this node is, if the map has it otherwise.</summary>
    public static async Task DescribeAsync(PoolNodeOptions options, NodeId self, MapKeeper map, CancellationToken cancellation)
    {
        while (map.Refusal is null)
        {
            PoolMap now = map.Map;
            MapChange change = PoolMapChange.Describe(now, self, options.Addresses, options.Zone, options.Weight);
            if (!change.IsDone) { return; }
            AuthorityAnswer answer = await map.SwapAsync(now, change.Map, cancellation);
            if (answer.Outcome == AuthorityOutcome.Ok) { return; }
            await Task.Delay(s_pause, options.Storage.Clock, cancellation);
        }
    }

    private static NodeIntroduction Introduce(PoolNodeOptions options, DiskId disk) =>
        new(options.Storage.NodeName, options.Addresses, options.Zone, options.Weight, disk);

    /// <summary>Why a disk that has been in a pool must not go on with what an authority says; null: it may.</summary>
    /// <exception cref="StorageException">It is another pool's.</exception>
    private static string? Refuse(AuthorityAnswer answer, PoolPast past)
    {
        if (past.Pool is not { } pool) { return null; }
        switch (answer)
        {
            case { Outcome: AuthorityOutcome.Ok, Map: null }:
                return MapKeeper.NoMap;
            case { Outcome: AuthorityOutcome.Ok, Map: { } standing } when standing.Pool != pool:
                throw PoolRecord.OfAnother(pool, standing.Pool);
            case { Outcome: AuthorityOutcome.Ok, Map: { } standing }:
                return past.Known is null ? null : PoolMapSuccession.FindRefusal(past.Known, standing);
            case { Outcome: AuthorityOutcome.Damaged } when past.Known is not null:
                return $"it cannot be read: {answer.Reason}";
            default:
                return null;
        }
    }

    /// <summary>The node's part in the map that it knew: it waits there for one that can follow.</summary>
    /// <exception cref="StorageException">It has none.</exception>
    private static Membership Rest(PoolMap known, NodeIntroduction self, BootId boot, string refusal) =>
        known.Nodes.FirstOrDefault(node => node.Disk == self.Disk) is { State: not NodeState.Gone } found
            ? new(known, new(found.Id, self.Disk, boot), refusal)
            : throw new StorageException(
                Status.NotPermitted, "The last pool map that this node knew does not have its disk: it was removed for good. Empty its data folder to join anew.");

    private static StorageException NoMapOf(PoolPast past, string refusal) => new(
        Status.NotFound,
        $"This data folder belongs to pool {past.Pool}, and the pool map in the authority is refused: {refusal}. No other pool is founded with it. Restore the map, or put it together from what other nodes know (`kvfs pool rebuild`), then start this node again.");

    /// <summary>What is to be changed; Exists: nothing.</summary>
    private static MapChange Change(PoolNodeOptions options, PoolMap? map, NodeIntroduction self, BootId boot)
    {
        if (map is null)
        {
            return options.Found is { } settings
                ? PoolMapChange.Found(new(NewId()), settings, options.Storage.ShardCount, [(self, boot)])
                : MapChange.Refuse(Status.NotFound, "there is no pool yet: start one node with --found");
        }

        if (map.Nodes.FirstOrDefault(node => node.Disk == self.Disk) is not { } known) { return Join(map, self, options.Replaces); }
        return known.State == NodeState.Gone
            ? MapChange.Refuse(Status.NotPermitted, $"node {known.Name} was removed for good: empty its data folder to join anew")
            : PoolMapChange.Describe(map, known.Id, self.Addresses, self.Zone, self.Weight);
    }

    /// <summary>A node that replaces another joins in its place: it is never given what it would have in one of its own.</summary>
    private static MapChange Join(PoolMap map, NodeIntroduction self, string? replaces)
    {
        MapChange joined = PoolMapChange.Join(map, self);
        if (!joined.IsDone || replaces is null) { return joined; }
        return joined.Map.Find(replaces) is { } old
            ? PoolMapChange.Replace(joined.Map, old.Id, joined.Map.Find(self.Name)!.Id)
            : MapChange.Refuse(Status.NotFound, $"there is no node {replaces} that it could replace");
    }

    private static UInt128 NewId()
    {
        Span<byte> bytes = stackalloc byte[PoolId.Size];
        Guid.CreateVersion7().TryWriteBytes(bytes, bigEndian: true, out _);
        return PoolId.Read(bytes).Value;
    }
}
