using System.Text;

namespace KvFs.Metrics;

/// <summary>What a family is to Prometheus.</summary>
public enum MetricKind
{
    /// <summary>Only rises, until its process starts again.</summary>
    Counter,

    Gauge,
    Histogram,
}

/// <summary>Turns the names and units of instruments into those of Prometheus.</summary>
/// <remarks>Source: Prometheus, "Metric and label naming"; OpenTelemetry, "Prometheus and OpenMetrics compatibility". Units
/// are written out and stand last, before <c>_total</c>; what is not allowed in a name becomes '_'.</remarks>
public static class MetricName
{
    /// <summary>UCUM codes that instruments use → words. Annotations such as <c>{request}</c> name no unit.</summary>
    private static readonly Dictionary<string, string> Units = new(StringComparer.Ordinal)
    {
        ["By"] = "bytes",
        ["KiBy"] = "kibibytes",
        ["MiBy"] = "mebibytes",
        ["GiBy"] = "gibibytes",
        ["s"] = "seconds",
        ["ms"] = "milliseconds",
        ["us"] = "microseconds",
        ["ns"] = "nanoseconds",
        ["min"] = "minutes",
        ["h"] = "hours",
        ["d"] = "days",
        ["%"] = "percent",
        ["Cel"] = "celsius",
        ["Hz"] = "hertz",
    };

    /// <summary>The family's name, for example <c>kvfs.node.read</c> in <c>By</c>, a counter →
    /// <c>kvfs_node_read_bytes_total</c>.</summary>
    public static string OfFamily(string instrument, string? unit, MetricKind kind)
    {
        ArgumentException.ThrowIfNullOrEmpty(instrument);
        StringBuilder name = new(Sanitize(instrument, allowColon: true));
        RemoveEnd(name, "_total");
        string word = UnitWord(unit, kind);
        if (word.Length > 0)
        {
            RemoveEnd(name, "_" + word);
            name.Append('_').Append(word);
        }
        if (kind == MetricKind.Counter) { name.Append("_total"); }
        return name.ToString();
    }

    /// <summary>A label's name; names that start with two underscores are Prometheus's own, so they lose one.</summary>
    public static string OfLabel(string tag)
    {
        ArgumentNullException.ThrowIfNull(tag);
        string name = tag.Length == 0 ? "_" : Sanitize(tag, allowColon: false);
        return name.StartsWith("__", StringComparison.Ordinal) ? "_" + name.TrimStart('_') : name;
    }

    private static string UnitWord(string? unit, MetricKind kind)
    {
        if (string.IsNullOrEmpty(unit) || unit[0] == '{') { return string.Empty; }
        if (unit == "1") { return kind == MetricKind.Gauge ? "ratio" : string.Empty; }
        return Units.TryGetValue(unit, out string? word) ? word : Sanitize(unit, allowColon: false).Trim('_');
    }

    /// <summary>Keeps ASCII letters, digits, '_' and, where allowed, ':'; puts one '_' for each run of anything else.</summary>
    private static string Sanitize(string text, bool allowColon)
    {
        StringBuilder name = new(text.Length + 1);
        foreach (char letter in text)
        {
            bool isAllowed = char.IsAsciiLetterOrDigit(letter) || letter == '_' || (allowColon && letter == ':');
            if (isAllowed) { name.Append(letter); }
            else if (name.Length == 0 || name[^1] != '_') { name.Append('_'); }
        }
        if (name.Length == 0 || char.IsAsciiDigit(name[0])) { name.Insert(0, '_'); }
        return name.ToString();
    }

    private static void RemoveEnd(StringBuilder name, string end)
    {
        if (name.Length > end.Length && name.ToString(name.Length - end.Length, end.Length) == end)
        {
            name.Length -= end.Length;
        }
    }
}
