using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace KvFs.Cli.CommandLine;

/// <summary>What commands are made of.</summary>
internal static class CommandBuilding
{
    /// <summary>Examples to show under a command's help: a command line, and what it does.</summary>
    private static readonly Dictionary<Command, (string Line, string Meaning)[]> Examples = [];

    public static Command WithExamples(this Command command, params (string Line, string Meaning)[] examples)
    {
        Examples[command] = examples;
        return command;
    }

    public static IReadOnlyList<(string Line, string Meaning)> ExamplesOf(Command command) =>
        Examples.GetValueOrDefault(command, []);

    /// <summary>Sets what a command does; it ends with Ok, or with what the function answers.</summary>
    public static Command Runs(this Command command, Func<CommandContext, CancellationToken, Task<ExitCode>> action)
    {
        command.SetAction(async (parsed, cancel) =>
            (int)await action(new CommandContext(parsed), cancel).ConfigureAwait(false));
        return command;
    }

    public static Command Runs(this Command command, Func<CommandContext, CancellationToken, Task> action) =>
        command.Runs(async (context, cancel) =>
        {
            await action(context, cancel).ConfigureAwait(false);
            return ExitCode.Ok;
        });

    public static Command Runs(this Command command, Action<CommandContext> action) =>
        command.Runs((context, _) =>
        {
            action(context);
            return Task.FromResult(ExitCode.Ok);
        });
}

/// <summary>The usual help, and the examples under it.</summary>
internal sealed class HelpWithExamples(HelpAction usual) : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        int code = usual.Invoke(parseResult);
        TextWriter output = parseResult.InvocationConfiguration.Output;
        IReadOnlyList<(string Line, string Meaning)> examples = CommandBuilding.ExamplesOf(parseResult.CommandResult.Command);
        if (examples.Count == 0) { return code; }
        output.WriteLine("Examples:");
        int width = examples.Max(example => example.Line.Length);
        foreach ((string line, string meaning) in examples)
        {
            output.WriteLine($"  {line.PadRight(width)}  {meaning}".TrimEnd());
        }
        output.WriteLine();
        return code;
    }
}
