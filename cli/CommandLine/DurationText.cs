using System.Globalization;

namespace KvFs.Cli.CommandLine;

/// <summary>Times as people write them.</summary>
internal static class DurationText
{
    /// <summary>The rule, for messages.</summary>
    public const string Rule = "A time is a number and ms, s or m, from 100ms to 60m. For example 500ms, 2s, 1.5m.";

    private static readonly TimeSpan s_least = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_most = TimeSpan.FromHours(1);

    /// <summary>Writes a time so that it can be read again.</summary>
    public static string Format(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds}s");

    /// <summary>Reads a time; a number alone is of seconds. False if it is none, or out of bounds.</summary>
    public static bool TryParse(string text, out TimeSpan time)
    {
        time = default;
        (string number, double unit) = text switch
        {
            _ when text.EndsWith("ms", StringComparison.Ordinal) => (text[..^2], 0.001),
            _ when text.EndsWith('s') => (text[..^1], 1),
            _ when text.EndsWith('m') => (text[..^1], 60),
            _ => (text, 1),
        };
        if (!double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value)) { return false; }
        if (!double.IsFinite(value) || value * unit > s_most.TotalSeconds) { return false; }
        time = TimeSpan.FromSeconds(value * unit);
        return time >= s_least;
    }
}
