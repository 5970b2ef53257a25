using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace KvFs.Core;

/// <summary>A broken invariant: a bug of ours, never the outcome of bytes from a disk, a network or a kernel.</summary>
public sealed class InvariantException : Exception
{
    public InvariantException()
    {
    }

    public InvariantException(string message)
        : base(message)
    {
    }

    public InvariantException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}

/// <summary>Assertions that stay on in release.</summary>
public static class Invariant
{
    /// <summary>Throws if <paramref name="holds"/> is false; one claim per call.</summary>
    /// <exception cref="InvariantException">The claim does not hold.</exception>
    public static void Check(
        [DoesNotReturnIf(false)] bool holds,
        [CallerArgumentExpression(nameof(holds))] string claim = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0)
    {
        if (!holds) { Fail(claim, file, line); }
    }

    [DoesNotReturn]
    private static void Fail(string claim, string file, int line) =>
        throw new InvariantException($"Invariant broken: {claim} ({file[(file.LastIndexOf('/') + 1)..]}:{line})");
}
