using System.Globalization;

namespace KvFs.Cli.CommandLine;

/// <summary>Sizes in bytes as people write and read them.</summary>
internal static class SizeText
{
    /// <summary>The rule, for messages.</summary>
    public const string Rule =
        "A size is a number of bytes, or a number with a unit: KiB, MiB, GiB, TiB, PiB, EiB (or K, M, G, T, P, E) are powers of "
        + "1024; KB, MB, GB, TB, PB, EB are powers of 1000. For example 10GiB, 10G, 1.5TB, 4096.";

    /// <summary>Digits behind the point that count; more are refused, because they cannot matter.</summary>
    private const int MaxFractionDigits = 9;

    /// <summary>Digits before the point: 2^64 has 20.</summary>
    private const int MaxWholeDigits = 20;

    private static readonly string[] UnitLetters = ["", "K", "M", "G", "T", "P", "E"];

    /// <summary>Reads a size; parts of a byte are cut off. False if it is none, or does not fit 64 bits.</summary>
    public static bool TryParse(string? text, out ulong bytes)
    {
        bytes = 0;
        ReadOnlySpan<char> rest = text.AsSpan().Trim(' ');
        if (!TryTakeDigits(ref rest, MaxWholeDigits, out UInt128 whole, out int wholeDigits) || wholeDigits == 0) { return false; }
        UInt128 fraction = 0;
        UInt128 scale = 1;
        if (rest.StartsWith('.'))
        {
            rest = rest[1..];
            if (!TryTakeDigits(ref rest, MaxFractionDigits, out fraction, out int digits) || digits == 0) { return false; }
            for (int digit = 0; digit < digits; digit++) { scale *= 10; }
        }
        if (!TryReadUnit(rest.TrimStart(' '), out ulong unit)) { return false; }
        UInt128 total = (whole * unit) + (fraction * unit / scale);
        if (total > ulong.MaxValue || (scale > 1 && unit == 1)) { return false; }
        bytes = (ulong)total;
        return true;
    }

    /// <summary>At most four digits and a unit of 1024s: <c>10 GiB</c>, <c>1.5 KiB</c>, <c>0 B</c>.</summary>
    public static string Format(ulong bytes)
    {
        if (bytes < 1024) { return string.Create(CultureInfo.InvariantCulture, $"{bytes} B"); }
        int unit = 0;
        double value = bytes;
        while (value >= 1023.95 && unit < UnitLetters.Length - 1)
        {
            value /= 1024;
            unit++;
        }
        return value.ToString("0.#", CultureInfo.InvariantCulture) + $" {UnitLetters[unit]}iB";
    }

    private static bool TryTakeDigits(ref ReadOnlySpan<char> text, int maxDigits, out UInt128 value, out int digits)
    {
        value = 0;
        digits = 0;
        while (digits < text.Length && char.IsAsciiDigit(text[digits]))
        {
            if (digits == maxDigits) { return false; }
            value = (value * 10) + (uint)(text[digits] - '0');
            digits++;
        }
        text = text[digits..];
        return true;
    }

    private static bool TryReadUnit(ReadOnlySpan<char> text, out ulong unit)
    {
        unit = 1;
        if (text.IsEmpty || text.Equals("B", StringComparison.OrdinalIgnoreCase)) { return true; }
        int power = Array.IndexOf(UnitLetters, char.ToUpperInvariant(text[0]).ToString());
        if (power < 1) { return false; }
        ReadOnlySpan<char> end = text[1..];
        bool isBinary = end.IsEmpty || end.Equals("i", StringComparison.OrdinalIgnoreCase)
            || end.Equals("iB", StringComparison.OrdinalIgnoreCase);
        if (!isBinary && !end.Equals("B", StringComparison.OrdinalIgnoreCase)) { return false; }
        for (int times = 0; times < power; times++) { unit *= isBinary ? 1024UL : 1000UL; }
        return true;
    }
}
