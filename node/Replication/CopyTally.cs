namespace KvFs.Node.Replication;

/// <summary>What the primary found when it compared what the counted copies of its drives have.</summary>
/// <param name="LackingBlocks">Blocks that a copy lacks, or has damaged, and could not be given; each for each copy.</param>
/// <param name="DifferingBlocks">Blocks of which a copy has other bytes under right checksums: for a person to look at.</param>
/// <param name="SurplusBlocks">Blocks that a copy has, nothing refers to, and nobody can prove to be dead: they stay.</param>
/// <param name="SilentCopies">Copies of drives that did not answer.</param>
/// <param name="EndedAt">Seconds since 1970 when this was so; 0: nothing was compared yet.</param>
public sealed record CopyTally(
    long LackingBlocks, long DifferingBlocks, long SurplusBlocks, long SilentCopies, double EndedAt)
{
    public static CopyTally None { get; } = new(0, 0, 0, 0, 0);
}
