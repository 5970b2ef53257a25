using System.Globalization;

namespace KvFs.Grpc.Wire;

/// <summary>The header <c>grpc-timeout</c>: 1 to 8 digits and a unit.</summary>
/// <remarks>Units: H hours, M minutes, S seconds, m milliseconds, u microseconds, n nanoseconds.
/// Source: PROTOCOL-HTTP2.md, "Timeout".</remarks>
internal static class GrpcTimeout
{
    private const int MaxDigits = 8;
    private const long MaxValue = 99_999_999;
    private const int NanosecondsPerTick = 100;

    /// <summary>False if the text is not of the form. A time that is not zero never becomes zero.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan timeout)
    {
        timeout = default;
        if (text.Length is < 2 or > MaxDigits + 1) { return false; }
        if (!long.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out long value)) { return false; }
        long ticks = text[^1] switch
        {
            'H' => value * TimeSpan.TicksPerHour,
            'M' => value * TimeSpan.TicksPerMinute,
            'S' => value * TimeSpan.TicksPerSecond,
            'm' => value * TimeSpan.TicksPerMillisecond,
            'u' => value * TimeSpan.TicksPerMicrosecond,
            'n' => (value + NanosecondsPerTick - 1) / NanosecondsPerTick,
            _ => -1,
        };
        timeout = new TimeSpan(Math.Max(ticks, 0));
        return ticks >= 0;
    }

    /// <summary>The finest unit in which the time has 8 digits, rounded up; what is past is <c>1n</c>.</summary>
    public static string Format(TimeSpan timeout)
    {
        if (timeout <= TimeSpan.Zero) { return "1n"; }
        long ticks = timeout.Ticks;
        if (ticks <= MaxValue / NanosecondsPerTick) { return Text(ticks * NanosecondsPerTick, 'n'); }
        if (TryUnit(ticks, TimeSpan.TicksPerMicrosecond, out long value)) { return Text(value, 'u'); }
        if (TryUnit(ticks, TimeSpan.TicksPerMillisecond, out value)) { return Text(value, 'm'); }
        if (TryUnit(ticks, TimeSpan.TicksPerSecond, out value)) { return Text(value, 'S'); }
        if (TryUnit(ticks, TimeSpan.TicksPerMinute, out value)) { return Text(value, 'M'); }
        TryUnit(ticks, TimeSpan.TicksPerHour, out value);
        return Text(Math.Min(value, MaxValue), 'H');  // 11,000 years are enough.
    }

    private static bool TryUnit(long ticks, long unit, out long value)
    {
        value = (ticks / unit) + (ticks % unit > 0 ? 1 : 0);
        return value <= MaxValue;
    }

    private static string Text(long value, char unit) => string.Create(CultureInfo.InvariantCulture, $"{value}{unit}");
}
