using KvFs.Core;

namespace KvFs.Bench;

/// <summary>What ended a run, in words for whoever started it.</summary>
internal sealed class BenchException(int exitCode, string message) : Exception(message)
{
    /// <summary>Something that was asked of the pool failed.</summary>
    public const int Failed = 1;

    /// <summary>The command line makes no sense.</summary>
    public const int Usage = 2;

    /// <summary>There is no pool to measure, or it cannot be talked to.</summary>
    public const int NotThere = 3;

    public int ExitCode { get; } = exitCode;

    /// <exception cref="BenchException">It is not Ok.</exception>
    public static void Check(Status status, string what)
    {
        if (status != Status.Ok) { throw new BenchException(Failed, $"{what}: {status}."); }
    }
}
