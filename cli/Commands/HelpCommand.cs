using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs help</c>: of a command, or of the exit codes.</summary>
internal static class HelpCommand
{
    private const string ExitCodesTopic = "exit-codes";

    public static Command Build(RootCommand root)
    {
        Argument<string[]> topic = new("topic")
        {
            Description = $"A command, or {ExitCodesTopic}.",
            HelpName = "TOPIC",
            Arity = ArgumentArity.ZeroOrMore,
        };
        topic.CompletionSources.Add(_ => root.Subcommands
            .Select(command => command.Name).Append(ExitCodesTopic)
            .Select(name => new System.CommandLine.Completions.CompletionItem(name)));
        return new Command("help", "Explains a command, or the exit codes.") { topic }
            .WithExamples(
                ("kvfs help drive create", "a command"),
                ("kvfs help exit-codes", "what the exit codes mean"))
            .Runs(context => Show(context, root, context.Get(topic)));
    }

    private static void Show(CommandContext context, RootCommand root, string[] topic)
    {
        if (topic is [ExitCodesTopic])
        {
            ShowExitCodes(context);
            return;
        }
        Command command = topic.Aggregate((Command)root, (at, name) =>
            at.Subcommands.FirstOrDefault(below => below.Name == name || below.Aliases.Contains(name))
                ?? throw new CommandException(
                    ExitCode.Usage, $"There is no command '{string.Join(' ', topic)}'.", "`kvfs help` lists all."));
        string[] path = [.. topic.Take(command == root ? 0 : topic.Length), "--help"];
        root.Parse(path).Invoke();
    }

    private static void ShowExitCodes(CommandContext context)
    {
        ExitCodeList list = new(
            [.. ExitCodes.Meanings.Select(one => new ExitCodeEntry((int)one.Code, one.Code, one.Meaning))]);
        context.Show(list, ControlJson.Readable.ExitCodeList, output =>
        {
            TableView table = new(new("Code", IsNumber: true), new("Meaning"));
            foreach (ExitCodeEntry entry in list.ExitCodes)
            {
                table.Add(entry.Number.ToString(System.Globalization.CultureInfo.InvariantCulture), entry.Meaning);
            }
            table.Write(output);
        });
    }
}
