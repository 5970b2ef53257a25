using System.Runtime.Versioning;
using System.Security.Cryptography;
using KvFs.Authority;
using KvFs.Core;
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
    /// <returns>The map, which has the node, and the node's part in it.</returns>
    /// <exception cref="StorageException">There is no pool, or it takes this node not; the message says what to do.</exception>
    public static async Task<(PoolMap Map, InSyncReplica Process)> EnterAsync(
        PoolNodeOptions options, DiskId disk, BootId boot, CancellationToken cancellation)
    {
        NodeIntroduction self = new(options.Storage.NodeName, options.Addresses, options.Zone, options.Weight, disk);
        while (true)
        {
            AuthorityAnswer answer = await options.Authority.ReadAsync(cancellation);
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

                    PoolNode found = answer.Map!.Nodes.First(node => node.Disk == disk);
                    return (answer.Map, new(found.Id, disk, boot));
                case AuthorityOutcome.Damaged:
                    throw new StorageException(Status.Corrupt, $"The pool map cannot be read: {answer.Reason}. Restore it from a copy.");
                default:
                    break;
            }

            await Task.Delay(s_pause, options.Storage.Clock, cancellation);
        }
    }

    /// <summary>What is to be changed; Exists: nothing.</summary>
    private static MapChange Change(PoolNodeOptions options, PoolMap? map, NodeIntroduction self, BootId boot)
    {
        if (map is null)
        {
            return options.Found is { } settings
                ? PoolMapChange.Found(new(NewId()), settings, options.Storage.ShardCount, [(self, boot)])
                : MapChange.Refuse(Status.NotFound, "there is no pool yet: start one node with --found");
        }

        if (map.Nodes.FirstOrDefault(node => node.Disk == self.Disk) is not { } known) { return PoolMapChange.Join(map, self); }
        return known.State == NodeState.Gone
            ? MapChange.Refuse(Status.NotPermitted, $"node {known.Name} was removed for good: empty its data folder to join anew")
            : PoolMapChange.Describe(map, known.Id, self.Addresses, self.Zone, self.Weight);
    }

    private static UInt128 NewId()
    {
        Span<byte> bytes = stackalloc byte[PoolId.Size];
        Guid.CreateVersion7().TryWriteBytes(bytes, bigEndian: true, out _);
        return PoolId.Read(bytes).Value;
    }
}
