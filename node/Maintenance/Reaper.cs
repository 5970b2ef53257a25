using System.Buffers.Binary;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>Removes what nobody can see any more: orphans, what a truncate cut off, history, dead blocks.</summary>
/// <remarks>
/// One thread runs it. Every step is one bounded transaction, so requests wait for none of it longer than for one another;
/// what a crash interrupts is found again, because each kind has its records. Dead blocks go in this order (design section
/// 6, "Blocks die late"): (1) list them; (2) make the transactions that freed them durable; (3) wait until no reader can
/// still be on its way to them; (4) drop them from the store, durably; (5) forget their records.
/// </remarks>
public sealed class Reaper(BlockStore blocks, TimeProvider clock)
{
    /// <summary>How long a reader may be on its way with a map that names a block: the lease of a session.</summary>
    private static readonly TimeSpan s_readerLease = TimeSpan.FromSeconds(5);

    /// <summary>Dead records taken in one round: some thousand blocks, a few megabytes of batch at the most.</summary>
    private const int DeadPerRound = 1024;

    /// <summary>Cut files taken in one round.</summary>
    private const int CutsPerRound = 256;

    private readonly Dictionary<DriveId, DeadRound> rounds = [];

    /// <summary>Does one round of steps for a drive; true if there is more to do now.</summary>
    public bool Run(HostedDrive drive, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(drive);
        bool more = RemoveOrphans(drive, cancellationToken);
        more |= ReapCuts(drive, cancellationToken);
        more |= ReapOld(drive, cancellationToken);
        DropDeadBlocks(drive);
        return more;
    }

    /// <summary>Whether dead blocks of a drive wait for readers' leases to pass: call again later.</summary>
    public bool IsWaiting(HostedDrive drive)
    {
        ArgumentNullException.ThrowIfNull(drive);
        return rounds.ContainsKey(drive.Id);
    }

    /// <summary>Forgets what waits for a drive that is gone.</summary>
    public void Forget(DriveId drive) => rounds.Remove(drive);

    /// <summary>Removes what nobody holds and has no name, step by step; true if there is more to do now.</summary>
    public static bool RemoveOrphans(HostedDrive drive, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(drive);
        VNodeId next = VNodeId.None;
        bool more = true;
        while (more && !cancellationToken.IsCancellationRequested)
        {
            Status status = drive.Transact(
                default,
                static (in (HostedDrive Drive, VNodeId From) start, DriveTransaction transaction, out OrphanStep step) =>
                {
                    VNodeId at = start.From;
                    Status answer = ReapOrphans.Apply(
                        start.Drive.Sessions, start.Drive.Holds, ref at, transaction, out bool left);
                    step = new(at, left);
                    return answer;
                },
                (drive, next),
                SpaceUse.Release,
                out OrphanStep done);
            if (status != Status.Ok) { return TryLater(drive, status); }
            next = done.Next;
            more = done.More;
        }

        return more;
    }

    private static bool ReapCuts(HostedDrive drive, CancellationToken cancellationToken)
    {
        List<VNodeId> files = [];
        StoredDriveView view = drive.Views.Rent(CowNumber.Head);
        ReapCut.ListCuts(view, VNodeId.None, CutsPerRound, files);
        drive.Views.Return(view);
        foreach (VNodeId file in files)
        {
            if (cancellationToken.IsCancellationRequested || FinishCut(drive, file) is not (Status.Ok or Status.Stale))
            {
                return false;
            }
        }

        return files.Count == CutsPerRound;
    }

    /// <summary>Removes everything behind a file's cut. Ok; Stale: the file is gone; else what failed.</summary>
    public static Status FinishCut(HostedDrive drive, VNodeId file)
    {
        ArgumentNullException.ThrowIfNull(drive);
        return drive.TransactUntilDone(
            static (in VNodeId id, DriveTransaction transaction, out bool done) =>
                ReapCut.Apply(id, transaction, out done),
            file,
            SpaceUse.Release);
    }

    private static bool ReapOld(HostedDrive drive, CancellationToken cancellationToken)
    {
        bool more = true;
        while (more && !cancellationToken.IsCancellationRequested)
        {
            Status status = drive.Transact(
                default,
                static (in bool _, DriveTransaction transaction, out bool left) =>
                    ReapHistory.Apply(transaction, out left),
                false,
                SpaceUse.Release,
                out more);
            if (status != Status.Ok) { return TryLater(drive, status); }
        }

        return more;
    }

    /// <summary>What failed is tried again, but what is damaged only once somebody repaired it. Always false.</summary>
    private static bool TryLater(HostedDrive drive, Status failure)
    {
        if (failure != Status.Corrupt) { drive.Keep(); }
        return false;
    }

    /// <remarks>A round that fails stays, and is tried again: dropping what is gone is harmless.</remarks>
    private void DropDeadBlocks(HostedDrive drive)
    {
        if (!rounds.TryGetValue(drive.Id, out DeadRound? round))
        {
            StartRound(drive);
            return;
        }

        if (clock.GetElapsedTime(round.Listed) < s_readerLease
            || blocks.DropBlocks(drive.Id, round.Blocks.ToArray()) != Status.Ok)
        {
            return;
        }

        Status status = drive.Transact(
            default,
            static (in DeadRound dropped, DriveTransaction transaction, out bool done) =>
            {
                done = true;
                return DropDead.Apply(dropped.Firsts.ToArray(), transaction);
            },
            round,
            SpaceUse.Release,
            out bool _);
        if (status != Status.Ok) { return; }
        rounds.Remove(drive.Id);
        StartRound(drive);
    }

    private void StartRound(HostedDrive drive)
    {
        DeadRound round = ListDead(drive);
        if (round.Firsts.Count == 0) { return; }
        if (drive.Shard.Sync() != Status.Ok) { return; }
        round.Listed = clock.GetTimestamp();
        rounds.Add(drive.Id, round);
    }

    private static DeadRound ListDead(HostedDrive drive)
    {
        DeadRound round = new();
        StoredDriveView view = drive.Views.Rent(CowNumber.Head);
        using (DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.BlockDead)))
        {
            while (round.Firsts.Count < DeadPerRound && round.Blocks.Count < DeadPerRound * 8 && cursor.MoveNext())
            {
                RecordKey key = RecordKey.FromRelative(cursor.Key);
                if (!DeadBlocks.TryDecode(cursor.Payload, out DeadBlocks dead)) { view.ThrowCorrupt(ref key); }
                ulong first = BinaryPrimitives.ReadUInt64BigEndian(cursor.Key[^8..]);
                round.Firsts.Add(new(first));
                for (ulong id = first; id < first + dead.Count; id++) { round.Blocks.Add(new(id)); }
            }
        }

        drive.Views.Return(view);
        return round;
    }

    private readonly record struct OrphanStep(VNodeId Next, bool More);

    /// <summary>Dead blocks that were listed, and since when they wait.</summary>
    private sealed class DeadRound
    {
        public List<BlockId> Firsts { get; } = [];

        public List<BlockId> Blocks { get; } = [];

        public long Listed { get; set; }
    }
}
