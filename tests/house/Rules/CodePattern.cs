using System.Text.RegularExpressions;

namespace KvFs.House.Tests.Rules;

/// <summary>Something that C# code must not contain, and why.</summary>
/// <remarks>A pattern knows no types, so it can be wrong. Where it is, the line, or the one above it, says
/// <c>House: </c> and the reason.</remarks>
public sealed record CodePattern(string Pattern, string Message, bool AllowsReasons = true)
{
    private const string Reason = "// House: ";

    /// <summary>Reads code only: comments and literals do not count.</summary>
    public IEnumerable<Finding> Check(SourceFile file)
    {
        string code = CSharpText.CodeOf(file.Text);
        return Regex.Matches(code, Pattern, RegexOptions.CultureInvariant)
            .Select(match => CSharpText.LineOf(code, match.Index))
            .Where(line => !AllowsReasons || !HasReason(file, line))
            .Distinct()
            .Select(line => new Finding(file.Path, line, Message));
    }

    /// <summary>Whether a line, or the one above it, says why it stands against a rule.</summary>
    public static bool HasReason(SourceFile file, int line)
    {
        string[] lines = file.Lines;
        return Says(line) || Says(line - 1);

        bool Says(int number)
        {
            string text = number >= 1 ? lines[number - 1] : string.Empty;
            int at = text.IndexOf(Reason, StringComparison.Ordinal);
            return at >= 0 && text.Length - at - Reason.Length >= 10;
        }
    }
}
