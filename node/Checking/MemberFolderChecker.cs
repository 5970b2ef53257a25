using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Checking;

/// <summary>fsck of the data folder of a pool's node that does not run: its blocks, as far as that folder knows of them.</summary>
/// <remarks>Whether records and blocks fit is compared by the pool itself, while it runs. Repair gives the room of bad blocks back whose
/// place a good copy has taken.</remarks>
public static class MemberFolderChecker
{
    /// <summary>Checks a folder.</summary>
    /// <returns>What was found; drives are named by their RUIDs. Null: it is not that of a node of a pool.</returns>
    /// <exception cref="StorageException">It cannot be opened; the message says what to do.</exception>
    /// <exception cref="OperationCanceledException">The caller has had enough.</exception>
    public static NodeCheckReport? Check(
        string dataPath, NodeCheckOptions options, Action<NodeCheckProgress>? onProgress, CancellationToken cancellationToken)
    {
        using JournaledKeyValueStore store = JournaledKeyValueStore.Open(Path.Combine(dataPath, "db"));
        if (!PoolRecord.IsOfMember(store)) { return null; }
        using BlockStore blocks = BlockStore.Open(new LinuxDisk(dataPath), store, default);
        ProblemList problems = new();
        List<NodeProblem> repaired = [];
        int drives = 0;
        long blockCount = 0;
        long byteCount = 0;
        foreach (DriveId drive in blocks.ListDrives())
        {
            problems.Drive = drive.ToString();
            StorageResult opened = blocks.OpenDrive(drive, readOnly: !options.Repair);
            if (!opened.IsOk)
            {
                problems.Add(opened.Message, "drive", repaired: false);
                if (!blocks.OpenDrive(drive, readOnly: true).IsOk) { continue; }
            }
            else if (options.Repair)
            {
                Release(blocks, drive, problems, repaired);
            }

            long before = blockCount;
            DriveReport report = blocks.VerifyDrive(
                drive,
                options.ReadBytes,
                progress => onProgress?.Invoke(new(problems.Drive, "blocks", before + progress.Blocks)),
                cancellationToken)!;
            StoreProblems.AddTo(problems, report);
            blockCount += report.Blocks;
            byteCount += report.Bytes;
            drives++;
        }

        return new(drives, blockCount, byteCount, problems.Count + repaired.Count, [.. repaired, .. problems.Problems]);
    }

    /// <summary>Gives the room of bad blocks back, and says of which.</summary>
    internal static void Release(BlockStore blocks, DriveId drive, ProblemList problems, List<NodeProblem> repaired)
    {
        List<BlockName> released = [];
        Status status = blocks.ReleaseQuarantine(drive, released);
        if (status != Status.Ok) { problems.Add($"What is kept of bad blocks cannot be released ({status}).", "idvd", repaired: false); }
        foreach (BlockName block in released)
        {
            repaired.Add(new(problems.Drive, StoreProblems.Describe(DriveProblemKind.Quarantined), $"block {block.Id}", Repaired: true));
        }
    }
}
