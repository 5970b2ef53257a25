using System.Collections.Immutable;
using Google.Protobuf;
using KvFs.Core;

namespace KvFs.Protocol.Wire;

/// <summary>What nodes have done and have, on the wire.</summary>
public static class WireActivity
{
    /// <summary>Drives of one answer at the most: more than a client shows.</summary>
    public const int MaxDrives = 65_536;

    private const long NanosecondsPerTick = 100;

    public static V1.ActivityReply ToWire(this NodeActivity activity)
    {
        ArgumentNullException.ThrowIfNull(activity);
        V1.ActivityReply reply = new()
        {
            Node = activity.Node.Value,
            Boot = ToWire(activity.Boot),
            Revision = activity.Revision,
            Clock = ToNanoseconds(activity.Clock),
            Ok = activity.IsOk,
            Trouble = activity.Trouble ?? string.Empty,
            DiskBytes = activity.DiskBytes,
            DiskFreeBytes = activity.DiskFreeBytes,
            BlocksRead = activity.BlocksRead,
            BytesRead = activity.BytesRead,
            BlocksWritten = activity.BlocksWritten,
            BytesWritten = activity.BytesWritten,
            Condition = activity.Condition?.ToWire(),
        };
        reply.Drives.AddRange(activity.Drives.Take(MaxDrives).Select(ToWire));
        reply.Peers.AddRange(activity.Peers
            .OrderBy(static peer => peer.Key.Value)
            .Select(static peer => new V1.PeerPresence { Node = peer.Key.Value, Presence = (V1.NodePresence)((int)peer.Value + 1) }));
        return reply;
    }

    /// <exception cref="InvalidDataException">It makes no sense.</exception>
    public static NodeActivity ToCore(this V1.ActivityReply reply)
    {
        ArgumentNullException.ThrowIfNull(reply);
        return new(
            new(reply.Node),
            ToBoot(reply.Boot),
            ToTime(reply.Clock),
            reply.Ok,
            reply.Trouble.Length == 0 ? null : reply.Trouble,
            reply.DiskBytes,
            reply.DiskFreeBytes,
            reply.BlocksRead,
            reply.BytesRead,
            reply.BlocksWritten,
            reply.BytesWritten,
            [.. reply.Drives.Select(ToCore)])
        {
            Revision = reply.Revision,
            Condition = reply.Condition?.ToCore(),
            Peers = ToPresences(reply.Peers),
        };
    }

    public static V1.ShardCopyReply ToWire(this CopyReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        byte[] disk = new byte[DiskId.Size];
        report.Process.Disk.Write(disk);
        V1.ShardCopyReply reply = new()
        {
            Node = report.Process.Node.Value,
            Disk = UnsafeByteOperations.UnsafeWrap(disk),
            Boot = ToWire(report.Process.Boot),
            Last = report.Last?.ToWire(),
        };
        reply.Heard.AddRange(report.Heard.Select(static node => node.Value));
        return reply;
    }

    /// <exception cref="InvalidDataException">It makes no sense.</exception>
    public static CopyReport ToCore(this V1.ShardCopyReply reply)
    {
        ArgumentNullException.ThrowIfNull(reply);
        if (reply.Disk.Length != DiskId.Size) { throw new InvalidDataException("a copy without a disk"); }
        return new(
            new(new(reply.Node), DiskId.Read(reply.Disk.Span), ToBoot(reply.Boot)),
            reply.Last?.ToCore(),
            [.. reply.Heard.Select(static node => new NodeId(node))]);
    }

    private static V1.DriveActivity ToWire(DriveActivity drive) => new()
    {
        Id = drive.Drive.ToWire(),
        Name = drive.Name,
        UsedBytes = drive.UsedBytes,
        QuotaBytes = drive.QuotaBytes,
        Sessions = (uint)drive.Sessions,
        Requests = drive.Requests,
        Commits = drive.Commits,
        CommitTime = ToNanoseconds(drive.CommitTime),
        CommittedBytes = drive.CommittedBytes,
    };

    private static DriveActivity ToCore(V1.DriveActivity drive) => new(
        drive.Id.ToDriveId(),
        drive.Name,
        drive.UsedBytes,
        drive.QuotaBytes,
        ToInt(drive.Sessions),
        drive.Requests,
        drive.Commits,
        ToTime(drive.CommitTime),
        drive.CommittedBytes);

    private static V1.PoolCondition ToWire(this PoolCondition condition) => new()
    {
        Full = (uint)condition.Full,
        Moving = (uint)condition.Moving,
        Healing = (uint)condition.Healing,
        MissingCopies = (uint)condition.MissingCopies,
        AtRisk = (uint)condition.AtRisk,
        NoPrimary = (uint)condition.NoPrimary,
        Down = (uint)condition.Down,
        CopiesMissing = (uint)condition.CopiesMissing,
        CopiesWanted = (uint)condition.CopiesWanted,
        CopiesPossible = (uint)condition.CopiesPossible,
    };

    private static PoolCondition ToCore(this V1.PoolCondition condition) => new(
        ToInt(condition.Full),
        ToInt(condition.Moving),
        ToInt(condition.Healing),
        ToInt(condition.MissingCopies),
        ToInt(condition.AtRisk),
        ToInt(condition.NoPrimary),
        ToInt(condition.Down),
        ToInt(condition.CopiesMissing),
        ToInt(condition.CopiesWanted),
        ToInt(condition.CopiesPossible));

    private static ImmutableDictionary<NodeId, NodePresence> ToPresences(IEnumerable<V1.PeerPresence> peers)
    {
        ImmutableDictionary<NodeId, NodePresence>.Builder known = ImmutableDictionary.CreateBuilder<NodeId, NodePresence>();
        foreach (V1.PeerPresence peer in peers)
        {
            if (peer.Presence is not (V1.NodePresence.Here or V1.NodePresence.Silent or V1.NodePresence.Lost)) { continue; }
            known[new(peer.Node)] = (NodePresence)((int)peer.Presence - 1);
        }

        return known.ToImmutable();
    }

    private static ByteString ToWire(BootId boot)
    {
        byte[] bytes = new byte[BootId.Size];
        boot.Write(bytes);
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }

    private static BootId ToBoot(ByteString bytes) =>
        bytes.Length == BootId.Size ? BootId.Read(bytes.Span) : throw new InvalidDataException("a node without a boot id");

    private static int ToInt(uint number) => (int)Math.Min(number, int.MaxValue);

    private static ulong ToNanoseconds(TimeSpan time) => (ulong)Math.Max(0, time.Ticks) * (ulong)NanosecondsPerTick;

    private static TimeSpan ToTime(ulong nanoseconds) => TimeSpan.FromTicks((long)(nanoseconds / (ulong)NanosecondsPerTick));
}
