using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;

namespace KvFs.Node.Checking;

/// <summary>fsck: checks every drive's records, its store, and that the two fit.</summary>
/// <remarks>Online: each drive is checked as it is at one moment, while it is in use. In order, for each drive: (1) the records
/// of its namespace; (2) that every block that is referred to is stored, and every stored one is known; (3) its store:
/// extents, bitmap and, if asked, every byte. Repair is offline, changes counts and names only, and checks again.</remarks>
internal sealed class NodeChecker(DriveHost host, IKeyValueStore store, BlockStore blocks, NodeCheckOptions options)
{
    /// <summary>Rounds of repair: mending one thing may uncover another.</summary>
    private const int RepairRounds = 8;

    private readonly ProblemList problems = new();
    private readonly List<NodeProblem> repaired = [];
    private long blockCount;
    private long byteCount;

    public NodeCheckReport Run(Action<NodeCheckProgress>? onProgress, CancellationToken cancellationToken)
    {
        int drives = 0;
        foreach (HostedDrive drive in host.All)
        {
            cancellationToken.ThrowIfCancellationRequested();

            // Of a drive that is being removed the blocks go first, then the records: what is left need not fit.
            if ((drive.State.Policy.Flags & DriveFlags.Deleting) != 0) { continue; }
            problems.Drive = drive.State.Policy.Name;
            onProgress?.Invoke(new(problems.Drive, "names and files", blockCount));
            CheckRecords(drive);
            onProgress?.Invoke(new(problems.Drive, "blocks", blockCount));
            CheckStore(drive, onProgress, cancellationToken);
            drives++;
        }

        return new(
            drives, blockCount, byteCount, problems.Count + repaired.Count, [.. repaired, .. problems.Problems]);
    }

    private void CheckRecords(HostedDrive drive)
    {
        long count = problems.Count;
        int listed = problems.Problems.Count;
        CheckMoment(drive);
        for (int round = 0; options.Repair && round < RepairRounds && problems.Repairable.Count > 0; round++)
        {
            List<DriveFinding> findings = [.. problems.Repairable];
            foreach (DriveFinding finding in findings) { Repair(drive, finding); }
            problems.Retract(count, listed);
            CheckMoment(drive);
        }

        problems.Repairable.Clear();
    }

    private void Repair(HostedDrive drive, DriveFinding finding)
    {
        Status status = drive.Transact(
            default,
            static (in DriveFinding found, DriveTransaction transaction, out bool done) =>
            {
                done = true;
                return RepairDrive.Apply(found, transaction);
            },
            finding,
            SpaceUse.Release,
            out bool _);
        if (status == Status.Ok) { status = store.SyncLog(); }
        if (status == Status.Ok)
        {
            repaired.Add(new(problems.Drive, finding.ToString(), $"VNode {finding.Node}", Repaired: true));
        }
    }

    /// <summary>Checks the records as they are now, and that they and the store's index know the same blocks.</summary>
    private void CheckMoment(HostedDrive drive)
    {
        IKeyValueSnapshot moment;
        DriveCounters counters;
        lock (drive.Shard.Gate)
        {
            moment = store.CreateSnapshot();
            counters = drive.Counters;
        }

        using (moment)
        {
            StoredDriveView view = new(moment.Reader(Family.Namespace), drive.State, CowNumber.Head);
            DriveChecker.Check(view, counters, problems);
            CheckBlocks(view, moment);
        }
    }

    private void CheckBlocks(StoredDriveView view, IKeyValueSnapshot moment)
    {
        KnownBlocks known = KnownBlocks.Read(view);
        using DriveCursor live = view.WalkPrefix(RecordKey.Single(RecordKind.BlockLive));
        using BlockCursor stored = new(moment, view.Drive);
        bool hasLive = live.MoveNext();
        bool hasStored = stored.MoveNext();
        while (hasLive || hasStored)
        {
            ulong liveId = hasLive ? KnownBlocks.NumberOf(live.Key) : ulong.MaxValue;
            ulong storedId = hasStored ? stored.Name.Id.Value : ulong.MaxValue;
            if (liveId < storedId)
            {
                problems.Add("A file refers to a block that is not stored.", $"block {liveId}", repaired: false);
            }
            else if (storedId < liveId && !known.Contains(storedId))
            {
                problems.Add(
                    "A block is stored that nothing refers to and nobody was granted.", $"block {storedId}", repaired: false);
            }

            if (hasStored && storedId <= liveId) { hasStored = stored.MoveNext(); }
            if (hasLive && liveId <= storedId) { hasLive = live.MoveNext(); }
        }
    }

    private void CheckStore(
        HostedDrive drive, Action<NodeCheckProgress>? onProgress, CancellationToken cancellationToken)
    {
        long before = blockCount;
        DriveReport? report = blocks.VerifyDrive(
            drive.Id,
            options.ReadBytes,
            progress => onProgress?.Invoke(new(problems.Drive, "blocks", before + progress.Blocks)),
            cancellationToken);
        if (report is null)
        {
            problems.Add("The drive's store is not open.", "drive", repaired: false);
            return;
        }

        blockCount += report.Blocks;
        byteCount += report.Bytes;
        foreach (DriveProblem problem in report.Problems)
        {
            string place = problem.Block is { } block ? $"block {block.Id}" : "idvd";
            problems.Add(
                Describe(problem.Kind), problem.Offset < 0 ? place : $"{place}, byte {problem.Offset}", repaired: false);
        }
    }

    private static string Describe(DriveProblemKind kind) => kind switch
    {
        DriveProblemKind.BadEntry => "An entry of the block index cannot be read.",
        DriveProblemKind.OutOfBounds => "A block lies beyond the end of the drive's file.",
        DriveProblemKind.Overlap => "Two blocks claim the same bytes.",
        DriveProblemKind.BadBytes => "A block's bytes do not have their checksum, or cannot be read.",
        DriveProblemKind.UsedMarkedFree => "A block's bytes are marked as free.",
        _ => "Bytes are marked as used that no block claims; the next start after an unclean stop frees them.",
    };
}
