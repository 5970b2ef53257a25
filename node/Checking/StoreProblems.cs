using KvFs.Node.Storage;

namespace KvFs.Node.Checking;

/// <summary>What is wrong with a drive's store, for people.</summary>
internal static class StoreProblems
{
    /// <summary>Adds what was found of a drive's store.</summary>
    internal static void AddTo(ProblemList problems, DriveReport report)
    {
        foreach (DriveProblem problem in report.Problems)
        {
            string place = problem.Block is { } block ? $"block {block.Id}" : "idvd";
            problems.Add(
                Describe(problem.Kind), problem.Offset < 0 ? place : $"{place}, byte {problem.Offset}", repaired: false);
        }
    }

    internal static string Describe(DriveProblemKind kind) => kind switch
    {
        DriveProblemKind.BadEntry => "An entry of the block index cannot be read.",
        DriveProblemKind.OutOfBounds => "A block lies beyond the end of the drive's file.",
        DriveProblemKind.Overlap => "Two blocks claim the same bytes.",
        DriveProblemKind.BadBytes => "A block's bytes do not have their checksum, or cannot be read.",
        DriveProblemKind.UsedMarkedFree => "A block's bytes are marked as free.",
        DriveProblemKind.Quarantined => "A block was bad, and a good copy has taken its place; what was bad is kept until a repair releases it.",
        DriveProblemKind.BadQuarantine => "What is kept of a block that was bad cannot be read.",
        _ => "Bytes are marked as used that no block claims; the next start after an unclean stop frees them.",
    };
}
