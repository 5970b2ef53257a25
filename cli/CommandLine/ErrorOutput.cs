using System.CommandLine;
using System.CommandLine.Parsing;
using KvFs.Cli.Control;

namespace KvFs.Cli.CommandLine;

/// <summary>Says on standard error what went wrong.</summary>
internal static class ErrorOutput
{
    public static void Show(ControlError error, bool asJson)
    {
        if (asJson)
        {
            Console.Error.WriteLine(ControlErrors.Serialize(error));
            return;
        }
        Console.Error.WriteLine($"kvfs: {error.Message}");
        if (error.Hint is not null) { Console.Error.WriteLine(error.Hint); }
    }

    /// <summary>Says what is wrong with a command line, and where its help is.</summary>
    public static int ShowUsage(ParseResult parsed)
    {
        string message = parsed.UnmatchedTokens is [var stranger, ..]
            ? Unknown(parsed.CommandResult.Command, stranger)
            : string.Join('\n', parsed.Errors.Select(error => error.Message).Distinct());
        string path = PathOf(parsed.CommandResult);
        ControlError error = new(ExitCode.Usage, message, $"See `{path} --help`.");

        // The option itself may be what is wrong, so its words are looked at, not its value.
        Show(error, asJson: parsed.GetResult(SharedOptions.Output) is { Tokens: [{ Value: "json" }] });
        return (int)ExitCode.Usage;
    }

    /// <summary>Names what is not understood, and a command or option that may have been meant.</summary>
    private static string Unknown(Command command, string word)
    {
        string? meant = command.Subcommands.Select(below => below.Name)
            .Concat(command.Options.Select(option => option.Name))
            .FirstOrDefault(name => IsNear(name, word));
        return $"'{word}' is not understood here." + (meant is null ? string.Empty : $" Did you mean {meant}?");
    }

    /// <summary>Whether one letter, or two that changed places, make the difference, or the end is missing.</summary>
    internal static bool IsNear(string name, string word)
    {
        if (word.Length >= 2 && name.StartsWith(word, StringComparison.Ordinal)) { return true; }
        int start = name.AsSpan().CommonPrefixLength(word);
        ReadOnlySpan<char> nameRest = name.AsSpan(start);
        ReadOnlySpan<char> wordRest = word.AsSpan(start);
        bool isSwapped = nameRest.Length >= 2 && wordRest.Length == nameRest.Length
            && nameRest[0] == wordRest[1] && nameRest[1] == wordRest[0] && nameRest[2..].SequenceEqual(wordRest[2..]);
        return isSwapped
            || (nameRest.Length > 0 && wordRest.Length > 0 && nameRest[1..].SequenceEqual(wordRest[1..]))
            || (nameRest.Length > 0 && nameRest[1..].SequenceEqual(wordRest))
            || (wordRest.Length > 0 && wordRest[1..].SequenceEqual(nameRest));
    }

    /// <summary>The command's name with those above it: "kvfs drive create".</summary>
    private static string PathOf(CommandResult command) =>
        command.Parent is CommandResult above ? $"{PathOf(above)} {command.Command.Name}" : "kvfs";
}
