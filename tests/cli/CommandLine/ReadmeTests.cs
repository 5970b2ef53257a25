using System.Globalization;
using System.Text.RegularExpressions;
using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Tests.CommandLine;

/// <summary>The README says of the command line what is so.</summary>
public sealed class ReadmeTests
{
    private static readonly string Text = File.ReadAllText(Find());

    [Fact]
    public void It_has_every_exit_code_with_its_meaning()
    {
        string[] rows = [.. ExitCodes.Meanings.Select(one =>
        {
            string meaning = char.ToLowerInvariant(one.Meaning[0]) + one.Meaning[1..].TrimEnd('.');
            return string.Create(CultureInfo.InvariantCulture, $"| {(int)one.Code} | {meaning} |");
        })];
        string plain = Text.Replace("`", string.Empty, StringComparison.Ordinal);
        Assert.All(rows, row => Assert.Contains(Sentences(row), Sentences(plain), StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void Every_command_that_it_shows_is_understood()
    {
        string block = Regex.Match(Text, "```sh\n(?<lines>.*?)```", RegexOptions.Singleline).Groups["lines"].Value;
        string[] lines = [.. block.Split('\n').Where(line => line.StartsWith("kvfs ", StringComparison.Ordinal))];
        Assert.NotEmpty(lines);
        Assert.All(lines, line => Assert.Empty(KvfsCommandLine.Build().Parse(line.Split('#')[0]["kvfs ".Length..]).Errors));
    }

    /// <summary>The table has semicolons where the program, which has more room, has sentences.</summary>
    private static string Sentences(string text) => text.Replace(". ", "; ", StringComparison.Ordinal);

    private static string Find()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "KvFs.sln"))) { return Path.Combine(at.FullName, "README.md"); }
        }
        throw new InvalidOperationException("There is no KvFs.sln above this assembly.");
    }
}
