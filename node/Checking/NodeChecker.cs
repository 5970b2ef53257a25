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
            CheckOrigin(drive);
            CheckRecords(drive);
            onProgress?.Invoke(new(problems.Drive, "blocks", blockCount));
            CheckStore(drive, onProgress, cancellationToken);
            drives++;
        }

        return new(
            drives, blockCount, byteCount, problems.Count + repaired.Count, [.. repaired, .. problems.Problems]);
    }

    /// <summary>A clone's origin must be there and know that it is pinned: it keeps what the clone's records name.</summary>
    private void CheckOrigin(HostedDrive drive)
    {
        DrivePolicy policy = drive.State.Policy;
        if (policy.Origins is not [DriveLayer layer, ..] || (policy.Flags & DriveFlags.Deleting) != 0) { return; }
        RecordKey pin = RecordKey.Pin(drive.Id);
        ByteBuffer payload = new();
        StoredDriveView origin = new(host.Records, [new(layer.Drive, CowNumber.Head)]);
        if (host.Find(layer.Drive) is null)
        {
            problems.Add("The drive that this one is a clone of is gone.", $"drive {layer.Drive}", repaired: false);
        }
        else if (!origin.TryGet(ref pin, payload)
            || !RetainedVersion.TryDecode(payload.Span, out RetainedVersion version) || version.At != layer.At)
        {
            problems.Add(
                "The drive that this one is a clone of does not keep the version that it starts from.",
                $"drive {layer.Drive}, version {layer.At}",
                repaired: false);
        }
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
        using (drive.Shard.Enter())
        {
            if (drive.Shard.Settle() != Status.Ok)
            {
                problems.Add("The drive could not be looked at: this node has stopped to serve it, or has no space.", $"drive {drive.Id}", repaired: false);
                return;
            }

            moment = store.CreateSnapshot();
            counters = drive.Counters;
        }

        using (moment)
        {
            StoredDriveView view = new(moment.Reader(Family.Namespace), drive.State, CowNumber.Head);
            DriveChecker.Check(view, counters, problems);
            CheckBlocks(view, moment);
            if (!drive.State.Policy.Origins.IsEmpty) { CheckForeignBlocks(view); }
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

    /// <summary>What a clone's files have in blocks of other drives must be stored there.</summary>
    private void CheckForeignBlocks(StoredDriveView view)
    {
        List<Slice> runs = [];
        BlockName last = default;
        int length = 0;
        using DriveCursor slices = view.WalkPrefix(RecordKey.Single(RecordKind.Slice));
        while (slices.MoveNext())
        {
            runs.Clear();
            if (!MoveRuns.TryReadRuns(slices.Payload, runs)) { continue; }
            foreach (Slice run in runs)
            {
                if (run.Kind != SliceKind.Block || run.Block.Owner == view.Drive) { continue; }
                if (run.Block != last) { blocks.GetBlockLength(run.Block, out length); }
                last = run.Block;
                if (run.SourceOffset + (ulong)run.Length <= (ulong)length) { continue; }

                problems.Add(
                    "A file refers to a block of another drive that is not stored.",
                    $"drive {run.Block.Owner}, block {run.Block.Id}",
                    repaired: false);
            }
        }
    }

    private void CheckStore(
        HostedDrive drive, Action<NodeCheckProgress>? onProgress, CancellationToken cancellationToken)
    {
        if (options.Repair) { MemberFolderChecker.Release(blocks, drive.Id, problems, repaired); }
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
        StoreProblems.AddTo(problems, report);
    }
}
