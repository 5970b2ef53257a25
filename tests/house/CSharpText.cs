namespace KvFs.House.Tests;

/// <summary>C# source without its comments and literals, so that a rule reads code and not what is said about code.</summary>
/// <remarks>Not a parser: it knows comments, character, string, verbatim, raw and interpolated literals, and keeps the code
/// in the holes of the latter. Every removed character becomes a blank and line ends stay, so offsets and lines are those
/// of the original.</remarks>
public sealed class CSharpText
{
    private readonly string source;
    private readonly char[] code;
    private int at;

    private CSharpText(string source)
    {
        this.source = source;
        code = source.ToCharArray();
    }

    /// <summary>The source with comments and literals blanked.</summary>
    public static string CodeOf(string source)
    {
        CSharpText text = new(source);
        text.SkipCode(holeBraces: 0);
        return new string(text.code);
    }

    /// <summary>The line, from 1, that holds an offset.</summary>
    public static int LineOf(string text, int offset) => 1 + text.AsSpan(0, offset).Count('\n');

    /// <summary>Walks code. Inside a hole of an interpolated literal it stops before the closing brace.</summary>
    private void SkipCode(int holeBraces)
    {
        int depth = 0;
        while (at < source.Length)
        {
            char current = source[at];
            if (StartsWith("//")) { BlankTo(EndOfLine()); }
            else if (StartsWith("/*")) { BlankTo(After("*/", at + 2)); }
            else if (current == '\'') { SkipCharacter(); }
            else if (current is '"' or '$' or '@') { SkipLiteralOrSign(); }
            else if (holeBraces > 0 && depth == 0 && current == '}') { return; }
            else
            {
                depth += current switch { '{' => 1, '}' => -1, _ => 0 };
                at++;
            }
        }
    }

    /// <summary>At a quote, or at the <c>$</c> and <c>@</c> that may come before one.</summary>
    private void SkipLiteralOrSign()
    {
        int start = at;
        int dollars = 0;
        bool verbatim = false;
        while (at < source.Length && source[at] is '$' or '@')
        {
            dollars += source[at] == '$' ? 1 : 0;
            verbatim |= source[at] == '@';
            at++;
        }
        if (at >= source.Length || source[at] != '"') { at = Math.Max(at, start + 1); return; }

        int quotes = 0;
        while (at + quotes < source.Length && source[at + quotes] == '"') { quotes++; }
        Blank(at);
        if (quotes >= 3) { SkipRaw(quotes, dollars); }
        else { SkipQuoted(verbatim, dollars > 0); }
    }

    private void SkipQuoted(bool verbatim, bool interpolated)
    {
        at++;
        while (at < source.Length)
        {
            if (source[at] == '"')
            {
                bool isDoubled = verbatim && at + 1 < source.Length && source[at + 1] == '"';
                if (!isDoubled) { Blank(at++); return; }
                BlankTo(at + 2);
            }
            else if (source[at] == '\\' && !verbatim) { BlankTo(at + 2); }
            else if (interpolated && (StartsWith("{{") || StartsWith("}}"))) { BlankTo(at + 2); }
            else if (interpolated && source[at] == '{') { SkipHole(braces: 1); }
            else { Blank(at++); }
        }
    }

    private void SkipRaw(int quotes, int dollars)
    {
        string end = new('"', quotes);
        string hole = new('{', Math.Max(dollars, 1));
        BlankTo(at + quotes);
        while (at < source.Length && !StartsWith(end))
        {
            if (dollars > 0 && StartsWith(hole)) { SkipHole(dollars); }
            else { Blank(at++); }
        }
        BlankTo(at + quotes);
    }

    private void SkipHole(int braces)
    {
        BlankTo(at + braces);
        SkipCode(braces);
        BlankTo(at + braces);
    }

    private void SkipCharacter()
    {
        int end = at + (at + 1 < source.Length && source[at + 1] == '\\' ? 2 : 1);
        BlankTo(After("'", end + (end < source.Length && end > at + 1 ? 1 : 0)));
    }

    private bool StartsWith(string text) => string.CompareOrdinal(source, at, text, 0, text.Length) == 0;

    private int EndOfLine() => source.IndexOf('\n', at) is var end && end >= 0 ? end : source.Length;

    private int After(string text, int from)
    {
        int found = from < source.Length ? source.IndexOf(text, from, StringComparison.Ordinal) : -1;
        return found >= 0 ? found + text.Length : source.Length;
    }

    private void BlankTo(int end)
    {
        while (at < end && at < source.Length) { Blank(at++); }
    }

    private void Blank(int offset)
    {
        if (code[offset] is not ('\n' or '\r')) { code[offset] = ' '; }
    }
}
