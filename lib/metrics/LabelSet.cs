using System.Globalization;
using System.Text;

namespace KvFs.Metrics;

/// <summary>Renders the tags of a measurement as Prometheus writes labels.</summary>
internal static class LabelSet
{
    /// <summary>Characters that one label's value may have: bounds what a careless tag can put on the page.</summary>
    public const int MaxValueLength = 256;

    private const string Cut = "…";

    /// <summary>The labels without their braces, sorted by name, as in <c>drive="a",op="read"</c>; empty without tags.
    /// </summary>
    /// <remarks>Of tags that come to the same name the last one counts: Prometheus refuses duplicates.</remarks>
    public static string Render(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty) { return string.Empty; }
        SortedDictionary<string, string> labels = new(StringComparer.Ordinal);
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            labels[MetricName.OfLabel(tag.Key)] = Text(tag.Value);
        }
        StringBuilder text = new();
        foreach ((string name, string value) in labels)
        {
            if (text.Length > 0) { text.Append(','); }
            text.Append(name).Append("=\"").Append(Escape(value)).Append('"');
        }
        return text.ToString();
    }

    /// <summary>Escapes backslashes, quotes and line ends; half surrogates, which no UTF-8 can have, become U+FFFD.</summary>
    public static string Escape(string value)
    {
        StringBuilder text = new(value.Length);
        foreach (Rune rune in value.EnumerateRunes())
        {
            switch (rune.Value)
            {
                case '\\': text.Append(@"\\"); break;
                case '"': text.Append("\\\""); break;
                case '\n': text.Append(@"\n"); break;
                default: text.Append(rune.ToString()); break;
            }
        }
        return text.ToString();
    }

    private static string Text(object? value)
    {
        string text = value switch
        {
            null => string.Empty,
            string given => given,
            bool flag => flag ? "true" : "false",
            IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString() ?? string.Empty,
        };
        return text.Length <= MaxValueLength ? text : string.Concat(text.AsSpan(0, MaxValueLength - 1), Cut);
    }
}
