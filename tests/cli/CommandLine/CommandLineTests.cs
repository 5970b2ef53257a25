using System.CommandLine;
using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Tests.CommandLine;

public sealed class CommandLineTests
{
    private static readonly RootCommand Root = KvfsCommandLine.Build();

    /// <summary>Every command that does something, by its words.</summary>
    public static TheoryData<string> Commands { get; } = [.. Leaves(Root, string.Empty)];

    [Theory]
    [MemberData(nameof(Commands))]
    public void Every_command_explains_itself_and_its_options_and_has_an_example(string words)
    {
        Command command = Find(words);
        Assert.False(string.IsNullOrWhiteSpace(command.Description));
        Assert.All(command.Options.Where(option => !option.Hidden), option => Assert.NotEmpty(option.Description!));
        Assert.All(command.Arguments, argument => Assert.NotEmpty(argument.Description!));
        Assert.NotEmpty(CommandBuilding.ExamplesOf(command));
    }

    [Theory]
    [MemberData(nameof(Commands))]
    public void Every_example_that_is_a_plain_command_parses(string words)
    {
        foreach ((string line, string _) in CommandBuilding.ExamplesOf(Find(words)))
        {
            if (!line.StartsWith("kvfs ", StringComparison.Ordinal)) { continue; }
            string plain = line.Split(" >")[0]["kvfs ".Length..];
            Assert.Empty(Root.Parse(plain).Errors);
        }
    }

    [Theory]
    [InlineData("drive create Main", "cannot be the name of a drive")]
    [InlineData("snapshot create main a_b", "cannot be the name of a snapshot")]
    [InlineData("drive create a --size 10Q", "is no size")]
    [InlineData("drive create a --inodes many", "many")]
    [InlineData("drive create a --spread 101", "from 0 to 100")]
    [InlineData("up --metrics 9747", "is no address and port")]
    [InlineData("up --drive A", "cannot be the name of a drive")]
    [InlineData("up --log-level loud", "is not one of trace")]
    [InlineData("status --output xml", "is not one of table, json")]
    [InlineData("bench /tmp --files 0", "from 1 to")]
    [InlineData("completion tcsh", "tcsh")]
    [InlineData("drive create", "Required argument")]
    [InlineData("pki init --dir a", "--pool")]
    [InlineData("pki init --dir a --pool A", "cannot be the name of a pool")]
    [InlineData("pki issue --dir a --role node --out b", "--name")]
    [InlineData("pki issue --dir a --role king --name n --out b", "is not one of node, client, operator, csi, admin")]
    [InlineData("pki issue --dir a --role node --name N --out b", "cannot be the name of a part of a pool")]
    [InlineData("pki issue --dir a --role node --name n --out b --ip here", "is no address")]
    [InlineData("pki issue --dir a --role node --name n --out b --usage none", "is not one of server, client, both")]
    [InlineData("pki issue --dir a --role node --name n --out b --days 0", "from 1 to 3650")]
    [InlineData("pki renew --dir a --out b --days 3651", "from 1 to 3650")]
    [InlineData("top --interval 2h", "is no such time")]
    [InlineData("top --interval 10ms", "from 100ms to 60m")]
    [InlineData("top --reports -1", "0 or more")]
    [InlineData("top --once -n 3", "contradict")]
    [InlineData("pool force --authority file:a", "Required argument")]
    [InlineData("pool force 70000 --authority file:a", "70000")]
    [InlineData("pool force 3 --authority file:a --reason a\\b", "plain ASCII")]
    [InlineData("pool rebalance", "--authority")]
    [InlineData("pool replace n1 --authority file:a", "--by")]
    [InlineData("pool rebuild --without n1", "--authority")]
    public void A_wrong_word_is_refused_with_what_would_be_right(string line, string expected)
    {
        ParseResult parsed = Root.Parse(line);
        Assert.Contains(parsed.Errors, error => error.Message.Contains(expected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("status --output ", "json table")]
    [InlineData("pki issue --role ", "admin client csi node operator")]
    [InlineData("pki ", "init issue renew show")]
    [InlineData("pool ", "drain force nodes rebalance rebuild remove replace shards status undrain")]
    public void The_shell_is_offered_words_that_are_understood(string line, string expected) => Assert.Equal(
        expected.Split(' '),
        Root.Parse(line).GetCompletions(line.Length).Select(item => item.Label).Where(label => char.IsAsciiLetter(label[0])).Order());

    [Theory]
    [InlineData("create", "creat", true)]
    [InlineData("create", "craete", true)]
    [InlineData("create", "crate", true)]
    [InlineData("create", "creeate", true)]
    [InlineData("create", "creatt", true)]
    [InlineData("delete", "del", true)]
    [InlineData("create", "delete", false)]
    [InlineData("up", "x", false)]
    public void A_word_that_is_nearly_right_is_recognized(string name, string word, bool expected) =>
        Assert.Equal(expected, ErrorOutput.IsNear(name, word));

    [Fact]
    public void Every_exit_code_has_a_meaning_and_each_number_one_code()
    {
        Assert.Equal(Enum.GetValues<ExitCode>(), ExitCodes.Meanings.Select(one => one.Code));
        Assert.All(ExitCodes.Meanings, one => Assert.EndsWith(".", one.Meaning, StringComparison.Ordinal));
    }

    private static IEnumerable<string> Leaves(Command command, string words) => command.Subcommands.Count == 0
        ? [words.Trim()]
        : command.Subcommands.SelectMany(below => Leaves(below, $"{words} {below.Name}"));

    private static Command Find(string words) =>
        words.Split(' ').Aggregate((Command)Root, (at, word) => at.Subcommands.Single(below => below.Name == word));
}
