using KvFs.Core;

namespace KvFs.Node.Checking;

/// <summary>Something that is wrong with a drive.</summary>
/// <param name="Drive">The drive's name.</param>
/// <param name="Problem">What: a sentence.</param>
/// <param name="Place">Where: a VNode, a record, a block.</param>
/// <param name="Repaired">It was mended; nothing was discarded for it.</param>
public sealed record NodeProblem(string Drive, string Problem, string Place, bool Repaired);

/// <summary>What a check found.</summary>
/// <param name="Drives">Drives that were checked.</param>
/// <param name="Blocks">Blocks that were looked at.</param>
/// <param name="Bytes">Bytes that were read and compared with their checksums.</param>
/// <param name="ProblemCount">All problems, also those beyond the list's bound.</param>
/// <param name="Problems">The first ones.</param>
public sealed record NodeCheckReport(
    int Drives, long Blocks, long Bytes, long ProblemCount, IReadOnlyList<NodeProblem> Problems)
{
    /// <summary>Nothing is wrong (any more).</summary>
    public bool IsClean => Problems.All(static problem => problem.Repaired) && ProblemCount == Problems.Count;
}

/// <summary>How a check is to be done.</summary>
/// <param name="ReadBytes">Reads every byte and compares it with its checksum.</param>
/// <param name="Repair">Mends what other records prove. Nobody may have a session.</param>
public readonly record struct NodeCheckOptions(bool ReadBytes, bool Repair);

/// <summary>How far a check is.</summary>
public readonly record struct NodeCheckProgress(string Drive, string Activity, long Blocks);

/// <summary>Gathers problems, up to a bound.</summary>
internal sealed class ProblemList : IFindingSink
{
    /// <summary>Problems that are listed: enough to see a pattern, little enough to read.</summary>
    private const int MaxProblems = 1000;

    private readonly List<NodeProblem> problems = [];

    public string Drive { get; set; } = "";

    public long Count { get; private set; }

    public IReadOnlyList<NodeProblem> Problems => problems;

    /// <summary>Findings of this drive that may be mended.</summary>
    public List<DriveFinding> Repairable { get; } = [];

    public void Add(DriveFinding finding)
    {
        ArgumentNullException.ThrowIfNull(finding);
        if (finding.IsRepairable && Repairable.Count < MaxProblems) { Repairable.Add(finding); }
        Add(finding.ToString(), finding.Node == VNodeId.None ? "drive" : $"VNode {finding.Node}", repaired: false);
    }

    public void Add(string problem, string place, bool repaired)
    {
        Count++;
        if (problems.Count < MaxProblems) { problems.Add(new(Drive, problem, place, repaired)); }
    }

    /// <summary>Forgets what was said of this drive: it is checked again.</summary>
    public void Retract(long count, int listed)
    {
        Count = count;
        problems.RemoveRange(listed, problems.Count - listed);
        Repairable.Clear();
    }
}
