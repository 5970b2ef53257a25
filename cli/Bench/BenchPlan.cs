namespace KvFs.Cli.Bench;

/// <summary>How much a benchmark does.</summary>
/// <param name="FileBytes">The large file; a multiple of <see cref="BlockBytes"/>.</param>
/// <param name="Files">Small files.</param>
internal sealed record BenchPlan(long FileBytes, int Files)
{
    /// <summary>Bytes of a sequential read or write.</summary>
    public const int BlockBytes = 1 << 20;

    /// <summary>Bytes of a random read or write, and of a small file.</summary>
    public const int SmallBytes = 4096;

    /// <summary>Random operations: enough for a steady figure on any disk.</summary>
    public const int RandomOperations = 4000;

    /// <summary>The longest that a step of random operations may take; what it did until then counts.</summary>
    public static readonly TimeSpan StepTime = TimeSpan.FromSeconds(10);
}
