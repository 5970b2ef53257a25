using System.Text.RegularExpressions;

namespace KvFs.House.Tests.Rules;

/// <summary>What no source file may contain, whatever it is about.</summary>
public static class SourceRules
{
    /// <summary>Lines of one file. The goal is 500; above 600 it is certainly two ideas.</summary>
    public const int MaxLines = 600;

    private static readonly string[] Scripts = [".sh", ".py", ""];

    private static readonly CodePattern[] Everywhere =
    [
        new(@"\bNotImplementedException\b", "a stub: finish it, or leave it out", AllowsReasons: false),
        new(@"\basync\s+void\b", "nobody can await this, so its failure reaches nobody: return a Task", AllowsReasons: false),
        new(@"#region\b", "a file that needs regions is two files", AllowsReasons: false),
    ];

    private static readonly CodePattern[] ShippedCode =
    [
        new(@"\.Result\b(?!\s*\()", "blocks a thread until a task ends: await it"),
        new(@"\.Wait\(\s*\)", "blocks a thread without bound: await, or wait with a token or a time"),
        new(@"\.GetAwaiter\(\)\.GetResult\(\)", "blocks a thread until a task ends: await it"),
    ];

    private static readonly CodePattern[] TestCode =
    [
        new(@"\bThread\.Sleep\s*\(", "a test that sleeps is slow or wrong: wait for what it is about", AllowsReasons: false),
        new(@"\bTask\.Delay\s*\(", "a test that sleeps is slow or wrong: wait for what it is about", AllowsReasons: false),
        new(@"\bclass\s+\w+Tests\b[^{;]*\bIAsyncDisposable\b", "xunit 2 never calls it: IAsyncLifetime, or IDisposable",
            AllowsReasons: false),
    ];

    // In two halves, or this file would be its own first finding.
    private static readonly string Promises = @"\b(TO" + "DO|FIX" + "ME|HA" + @"CK|XX" + @"X)\b";

    public static bool IsTest(SourceFile file) => file.Path.StartsWith("tests/", StringComparison.Ordinal);

    public static IEnumerable<Finding> CheckCode(SourceFile file) =>
        [.. Everywhere.Concat(IsTest(file) ? TestCode : ShippedCode).SelectMany(pattern => pattern.Check(file))];

    /// <summary>Notes to oneself, in code and scripts.</summary>
    public static IEnumerable<Finding> CheckPromises(SourceFile file)
    {
        if (file.Extension != ".cs" && !Scripts.Contains(file.Extension)) { return []; }
        return Regex.Matches(file.Text, Promises).Select(match => new Finding(
            file.Path, CSharpText.LineOf(file.Text, match.Index), "a promise: keep it now, or put it into an issue"));
    }

    public static IEnumerable<Finding> CheckLength(SourceFile file)
    {
        if (file.Extension != ".cs" && !Scripts.Contains(file.Extension)) { return []; }
        int count = file.Text.AsSpan().Count('\n');
        return count <= MaxLines ? [] : [new(file.Path, MaxLines, $"{count} lines: two ideas in one file?")];
    }

    /// <summary>Names that say nothing about what is inside.</summary>
    public static IEnumerable<Finding> CheckName(SourceFile file)
    {
        string[] parts = [.. file.Folder.Split('/'), Path.GetFileNameWithoutExtension(file.Path)];
        return parts.Any(part => Regex.IsMatch(part, "(^|[a-z._-])(Utils?|Utilities|Helpers?|Common|Misc)$")
                || Regex.IsMatch(part, "^(utils?|utilities|helpers?|common|misc)$"))
            ? [new(file.Path, 1, "name it after what it does")]
            : [];
    }

    /// <summary>A test that is left out must say why.</summary>
    public static IEnumerable<Finding> CheckSkips(SourceFile file)
    {
        foreach (Match match in Regex.Matches(CSharpText.CodeOf(file.Text), @"\bSkip\s*=(?!=|>)"))
        {
            string rest = file.Text[(match.Index + match.Length)..].TrimStart();
            if (Regex.IsMatch(rest, "^\"[^\"]{10,}\"")) { continue; }
            yield return new(file.Path, CSharpText.LineOf(file.Text, match.Index), "skipped without a reason");
        }
    }
}
