using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Tests.CommandLine;

public sealed class NameRuleTests
{
    [Theory]
    [InlineData("main")]
    [InlineData("a")]
    [InlineData("0")]
    [InlineData("home-2.backup.2026-11-20")]
    public void A_name_as_Kubernetes_has_them_is_taken(string name)
    {
        Assert.True(NameRule.IsName(name));
        NameRule.Check(name, "the name of a drive");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("Main")]
    [InlineData("a_b")]
    [InlineData("-a")]
    [InlineData("a-")]
    [InlineData("a..b")]
    [InlineData("a.")]
    [InlineData(".a")]
    [InlineData("a/b")]
    [InlineData("ä")]
    public void Anything_else_is_refused(string? name) => Assert.False(NameRule.IsName(name));

    [Fact]
    public void A_name_has_253_letters_at_most()
    {
        Assert.True(NameRule.IsName(new string('a', 253)));
        Assert.False(NameRule.IsName(new string('a', 254)));
    }

    [Fact]
    public void The_message_states_the_rule_and_shows_a_wrong_name_only_in_part()
    {
        string name = "\x1b[2J" + new string('X', 1000);
        CommandException thrown = Assert.Throws<CommandException>(() => NameRule.Check(name, "the name of a drive"));
        Assert.Equal(ExitCode.Usage, thrown.Code);
        Assert.Contains(NameRule.Rule, thrown.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\x1b', thrown.Message);
        Assert.DoesNotContain(new string('X', 41), thrown.Message, StringComparison.Ordinal);
    }
}
