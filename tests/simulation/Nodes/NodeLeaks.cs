using System.Buffers.Binary;
using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;
using KvFs.Simulation.Storage;

namespace KvFs.Simulation.Nodes;

/// <summary>Looks, once the background has nothing left to do and no session is open, for what nobody can see any more, and for
/// space that nobody uses.</summary>
internal static class NodeLeaks
{
    /// <summary>Kinds of records that are only there while something goes on.</summary>
    private static readonly RecordKind[] s_passing =
    [
        RecordKind.Orphan, RecordKind.BlockDead, RecordKind.Grant, RecordKind.VNodeGrant, RecordKind.Delegation, RecordKind.Session,
        RecordKind.RequestResult, RecordKind.Lock, RecordKind.Restore, RecordKind.RestoreWork, RecordKind.RestoreLink,
        RecordKind.Cut, RecordKind.Reaper,
    ];

    /// <exception cref="BrokenPromiseException">Something leaks.</exception>
    internal static void Check(NodeUnderTest node, ModelWorld world)
    {
        CheckUsage(node, world);
        CheckRecords(node, world);
        List<string> folders = [];
        Invariant.Check(node.Disk.List("drives", folders) == Status.Ok);
        string expected = string.Join(' ', world.Folders());
        Require(string.Join(' ', folders) == expected, $"folders of drives: {string.Join(' ', folders)} not {expected}");
    }

    private static void CheckUsage(NodeUnderTest node, ModelWorld world)
    {
        foreach ((string name, ModelDrive drive) in world.Drives)
        {
            Reply<DriveInfo> info = node.Node.Admin.GetDriveAsync(name, default).Now();
            Require(info.IsOk, $"drive {name} answers {info.Status}");
            Require(
                (info.Value.UsedBytes, info.Value.UsedInodes) == (drive.Tree.Backed, drive.Tree.Inodes),
                $"drive {name} uses {info.Value.UsedBytes} bytes and {info.Value.UsedInodes} VNodes, "
                + $"not {drive.Tree.Backed} and {drive.Tree.Inodes}");
        }
    }

    private static void CheckRecords(NodeUnderTest node, ModelWorld world)
    {
        SortedSet<DriveId> drives = world.Folders();
        foreach (SimulatedRecord record in node.KeyValues.Content(Family.Block))
        {
            Require(drives.Contains(DriveId.Read(record.Key)), "a block of a drive that is gone is in the index");
        }

        List<SimulatedRecord> history = [];
        SortedDictionary<DriveId, List<ulong>> versions = [];
        foreach (SimulatedRecord record in node.KeyValues.Content(Family.Namespace))
        {
            DriveId drive = DriveId.Read(record.Key);
            if (drive == default) { continue; }
            RecordKind kind = (RecordKind)record.Key[DriveId.Size];
            Require(drives.Contains(drive), $"a record {kind} of a drive that is gone");
            Require(
                RecordEnvelope.Read(record.Value, out RecordHeader header, out ReadOnlySpan<byte> payload) == Status.Ok,
                $"a record {kind} is damaged");

            // A clone hides with a whiteout what its origin has.
            Require(
                header.Whiteout || !s_passing.Contains(kind), $"a record {kind} stays: {Convert.ToHexString(record.Key)}");
            if (kind == RecordKind.History) { history.Add(record); }
            if (kind is not (RecordKind.Snapshot or RecordKind.Pin)) { continue; }
            if (!versions.TryGetValue(drive, out List<ulong>? known)) { versions[drive] = known = []; }
            known.Add(BinaryPrimitives.ReadUInt64LittleEndian(payload));
        }

        foreach (SimulatedRecord record in history) { CheckSeen(record, versions); }
    }

    private static void CheckSeen(SimulatedRecord record, SortedDictionary<DriveId, List<ulong>> versions)
    {
        Require(
            RecordKey.TrySplitHistory(record.Key.AsSpan(DriveId.Size), out _, out CowNumber superseded)
                && RecordEnvelope.Read(record.Value, out RecordHeader header, out _) == Status.Ok
                && versions.TryGetValue(DriveId.Read(record.Key), out List<ulong>? known)
                && known.Exists(at => header.Written.Value <= at && at < superseded.Value),
            $"history that no version sees: {Convert.ToHexString(record.Key)}");
    }

    private static void Require(bool holds, string what)
    {
        if (!holds) { throw new BrokenPromiseException(what); }
    }
}
