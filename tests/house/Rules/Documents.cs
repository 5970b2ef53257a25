using System.Text.RegularExpressions;

namespace KvFs.House.Tests.Rules;

/// <summary>What the documents promise must be there: files and headings that they link to, commands that they name.</summary>
public static class Documents
{
    private const string Link = @"!?\[[^\]\n]*\]\((?<target>[^)\s]+)(?:\s+""[^""]*"")?\)";

    /// <summary>Links to files and headings of this repository that lead nowhere.</summary>
    public static IEnumerable<Finding> CheckLinks(SourceFile document, IReadOnlyList<SourceFile> files, Func<string, bool> exists)
    {
        string prose = WithoutCode(document.Text);
        foreach (Match match in Regex.Matches(prose, Link))
        {
            string target = match.Groups["target"].Value;
            if (Regex.IsMatch(target, "^[a-z]+:")) { continue; }
            string[] parts = target.Split('#', 2);
            string path = parts[0].Length == 0 ? document.Path : Resolve(document.Folder, parts[0]);
            int line = CSharpText.LineOf(prose, match.Index);
            if (!exists(path)) { yield return new(document.Path, line, $"links to {path}, which is not there"); }
            else if (parts.Length == 2 && !Headings(files, path).Contains(parts[1]))
            {
                yield return new(document.Path, line, $"{path} has no heading #{parts[1]}");
            }
        }
    }

    /// <summary>Targets of make that a document names and the Makefile does not have.</summary>
    public static IEnumerable<Finding> CheckCommands(SourceFile document, SourceFile makefile)
    {
        HashSet<string> targets = [.. Targets(makefile)];
        return Regex.Matches(document.Text, @"(?:^|`|\$ )make (?<target>[a-z]+)\b", RegexOptions.Multiline)
            .Where(match => !targets.Contains(match.Groups["target"].Value))
            .Select(match => new Finding(
                document.Path, CSharpText.LineOf(document.Text, match.Index), $"`{match.Value.Trim('`')}`: no such target"));
    }

    /// <summary>Targets that explain themselves in <c>make help</c>: <c>name: parts ## what it does</c>.</summary>
    public static IEnumerable<string> Targets(SourceFile makefile) =>
        Regex.Matches(makefile.Text, @"^(?<name>[a-z]+):[^=\n]*## \S", RegexOptions.Multiline)
            .Select(match => match.Groups["name"].Value);

    private static IEnumerable<string> Headings(IReadOnlyList<SourceFile> files, string path)
    {
        SourceFile? document = files.FirstOrDefault(file => file.Path == path);
        if (document is null) { return []; }
        return Regex.Matches(WithoutCode(document.Text), @"^#{1,6} +(?<title>.+?)\s*$", RegexOptions.Multiline)
            .Select(match => Anchor(match.Groups["title"].Value));
    }

    /// <summary>The anchor that forges and renderers make of a heading.</summary>
    private static string Anchor(string title) =>
        Regex.Replace(title.ToLowerInvariant(), @"[^\w\- ]", string.Empty).Replace(' ', '-');

    private static string Resolve(string folder, string target) =>
        Path.GetFullPath(Path.Combine("/", folder, Uri.UnescapeDataString(target))).TrimStart('/');

    /// <summary>Blanks fenced code, where brackets are no links and hashes no headings. Offsets stay.</summary>
    private static string WithoutCode(string text) => Regex.Replace(
        text,
        @"^(?<fence>```|~~~)[\s\S]*?^\k<fence>",
        match => Regex.Replace(match.Value, @"[^\n]", " "),
        RegexOptions.Multiline);
}
