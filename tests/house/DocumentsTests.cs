using KvFs.House.Tests.Rules;

namespace KvFs.House.Tests;

public sealed class DocumentsTests
{
    private static readonly SourceFile PlantedMakefile = new("Makefile", "test: setup ## Run every test\n\tx\nhidden:\n\ty\n");

    private static IEnumerable<SourceFile> All => Repository.Files.Where(file => file.Extension == ".md");

    [Fact]
    public void Every_link_to_a_file_or_heading_leads_somewhere() =>
        Report.Nothing(All.SelectMany(file => Documents.CheckLinks(file, Repository.Files, Repository.Exists)));

    [Fact]
    public void Every_make_command_in_a_document_exists() =>
        Report.Nothing(All.SelectMany(file => Documents.CheckCommands(file, Repository.Get("Makefile"))));

    [Fact]
    public void The_README_names_the_two_commands_that_matter()
    {
        string readme = Repository.Get("README.md").Text;
        Assert.Contains("make up", readme, StringComparison.Ordinal);
        Assert.Contains("make test", readme, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("help")]
    [InlineData("setup")]
    [InlineData("up")]
    [InlineData("down")]
    [InlineData("test")]
    [InlineData("check")]
    [InlineData("sim")]
    [InlineData("conformance")]
    [InlineData("bench")]
    [InlineData("fmt")]
    [InlineData("publish")]
    [InlineData("clean")]
    public void Every_target_explains_itself_in_make_help(string target) =>
        Assert.Contains(target, Documents.Targets(Repository.Get("Makefile")));

    [Fact]
    public void The_changelog_has_room_for_the_next_release() =>
        Assert.Contains("\n## [Unreleased]\n", Repository.Get("CHANGELOG.md").Text, StringComparison.Ordinal);

    [Fact]
    public void Links_that_lead_nowhere_are_found()
    {
        SourceFile other = new("docs/b.md", "# The one: idea\n```\n# no heading\n```\n");
        string[] lines =
        [
            "[a](b.md) [b](https://example.org/x) [c](b.md#the-one-idea) [d](#here)",
            "# Here",
            "![picture](gone.svg)",
            "[e](b.md#no-heading)",
            "```",
            "[f](gone.md)",
            "```",
            "[g](../gone.md \"title\")",
        ];
        SourceFile document = new("docs/a.md", string.Join('\n', lines));
        Report.Lines(Documents.CheckLinks(document, [document, other], path => path is "docs/a.md" or "docs/b.md"), 3, 4, 8);
    }

    [Fact]
    public void A_command_that_make_does_not_know_is_found()
    {
        SourceFile document = new("a.md", "`make test`\n`make everything`\n    $ make hidden\nwe make things\n");
        Report.Lines(Documents.CheckCommands(document, PlantedMakefile), 2, 3);
    }

    [Fact]
    public void A_target_that_does_not_explain_itself_is_not_counted() =>
        Assert.Equal(["test"], Documents.Targets(PlantedMakefile));
}
