using System.Globalization;

namespace KvFs.Pool.Tests;

/// <summary>How often a test does what it does: KVFS_ROUNDS for many.</summary>
internal static class Rounds
{
    private static readonly int? s_wanted =
        int.TryParse(Environment.GetEnvironmentVariable("KVFS_ROUNDS"), CultureInfo.InvariantCulture, out int rounds) ? rounds : null;

    /// <summary>Of what is quick.</summary>
    public static int Several => s_wanted ?? 3;

    /// <summary>Of what takes ten seconds or more; a fifth of the many.</summary>
    public static int Few => s_wanted is { } wanted ? Math.Max(1, wanted / 5) : 1;
}
