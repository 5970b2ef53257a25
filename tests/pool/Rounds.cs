using System.Globalization;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>How often a test does what it does: KVFS_ROUNDS for many.</summary>
internal static class Rounds
{
    private static readonly int? s_wanted =
        int.TryParse(Environment.GetEnvironmentVariable("KVFS_ROUNDS"), CultureInfo.InvariantCulture, out int rounds) ? rounds : null;

    /// <summary>Of what is quick.</summary>
    public static int Several => s_wanted ?? 3;

    /// <summary>Whether it is about how often, and how long: not with the tests that are always run, on machines that have more to do.</summary>
    public static bool AreMany => s_wanted is not null;

    /// <summary>Says how long some pauses were; of many rounds, 99 of 100 must not be longer than something.</summary>
    public static void CheckPauses(string what, List<TimeSpan> pauses, TimeSpan bound, ITestOutputHelper output)
    {
        TimeSpan[] sorted = [.. pauses.Order()];
        TimeSpan percentile = sorted[(int)Math.Ceiling(0.99 * sorted.Length) - 1];
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{sorted.Length} {what}: pauses of {sorted[0].TotalSeconds:f3} to {sorted[^1].TotalSeconds:f3} s, half of them up to {sorted[(sorted.Length - 1) / 2].TotalSeconds:f3} s, 99 of 100 up to {percentile.TotalSeconds:f3} s"));
        if (AreMany) { Assert.InRange(percentile, TimeSpan.Zero, bound); }
    }

    /// <summary>Of what takes ten seconds or more; a fifth of the many.</summary>
    public static int Few => s_wanted is { } wanted ? Math.Max(1, wanted / 5) : 1;
}
