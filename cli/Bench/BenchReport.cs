namespace KvFs.Cli.Bench;

/// <summary>One figure; higher is better.</summary>
/// <param name="Value">In the unit; of the directory that was measured.</param>
/// <param name="Compared">Of the directory to compare with.</param>
/// <param name="Ratio">Value by compared.</param>
internal sealed record BenchFigure(string Step, string Unit, double Value, double? Compared, double? Ratio);

internal sealed record BenchReport(
    string Directory, string? ComparedWith, ulong FileBytes, int Files, IReadOnlyList<BenchFigure> Figures);
