using System.Text.RegularExpressions;

namespace KvFs.House.Tests.Rules;

/// <summary>A test's name is a sentence, so that a list of failures reads as a list of what does not hold.</summary>
public static class TestNames
{
    private const string Method =
        @"\[\s*(?:Xunit\.)?(?:Fact|Theory)\b[^;{]*?\b(?:void|Task|ValueTask)\s+(?<name>\w+)\s*\(";

    private const string Sentence = "^[A-Z0-9][A-Za-z0-9]*(_[A-Za-z0-9]+){2,}$";

    public static IEnumerable<Finding> Check(SourceFile file)
    {
        string code = CSharpText.CodeOf(file.Text);
        return Regex.Matches(code, Method)
            .Select(match => match.Groups["name"])
            .Where(name => !Regex.IsMatch(name.Value, Sentence))
            .Select(name => new Finding(
                file.Path, CSharpText.LineOf(code, name.Index), $"{name.Value} is not a sentence of three words or more"));
    }
}
