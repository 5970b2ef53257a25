using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvFs.Cli.Control;
using KvFs.Cli.Output;

namespace KvFs.Cli.CommandLine;

/// <summary>What every command has: the options that all share, and the ways to say something.</summary>
internal sealed class CommandContext(ParseResult parsed)
{
    public ParseResult Parsed { get; } = parsed;

    /// <summary>The data folder, absolute.</summary>
    public string DataPath => DataFolder.Resolve(Parsed.GetValue(SharedOptions.Data));

    public bool WantsJson => Parsed.GetValue(SharedOptions.Output) == OutputFormat.Json;

    public T Get<T>(Option<T> option) => Parsed.GetValue(option)!;

    public T Get<T>(Argument<T> argument) => Parsed.GetRequiredValue(argument);

    public ControlClient Connect() => new(DataPath);

    /// <summary>Prints a result: as JSON for programs, or as the given function does it for people.</summary>
    public void Show<T>(T result, JsonTypeInfo<T> type, Action<TextWriter> forPeople)
    {
        if (WantsJson) { Console.Out.WriteLine(JsonSerializer.Serialize(result, type)); }
        else { forPeople(Console.Out); }
    }

    /// <summary>Prints that something was done.</summary>
    public void Show(DoneReport done) =>
        Show(done, ControlJson.Readable.DoneReport, output => output.WriteLine(done.Done));

    /// <summary>Asks before something is lost.</summary>
    /// <param name="question">Without the question mark.</param>
    /// <param name="yes">The answer was given on the command line.</param>
    /// <exception cref="CommandException">The answer is no, or nobody is there to give one.</exception>
    public static void Confirm(string question, bool yes)
    {
        if (yes) { return; }
        if (!Terminal.IsInteractive)
        {
            throw new CommandException(ExitCode.Refused, $"{question}? Nobody is there to answer.", "Pass --yes.");
        }
        Console.Error.Write($"{question}? [y/N] ");
        string answer = Console.In.ReadLine()?.Trim() ?? string.Empty;
        if (!answer.Equals("y", StringComparison.OrdinalIgnoreCase) && !answer.Equals("yes", StringComparison.OrdinalIgnoreCase))
        {
            throw new CommandException(ExitCode.Refused, "Nothing was changed.");
        }
    }
}
