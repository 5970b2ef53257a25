using System.CommandLine;
using System.CommandLine.Parsing;

namespace KvFs.Cli.CommandLine;

internal enum OutputFormat
{
    Table,
    Json,
}

/// <summary>Options and arguments that several commands have.</summary>
internal static class SharedOptions
{
    public static Option<string?> Data { get; } = new("--data")
    {
        Description = $"The data folder. Default: ${DataFolder.Variable}, else /var/lib/kvfs (root) or ~/.local/share/kvfs.",
        HelpName = "DIR",
        Recursive = true,
    };

    public static Option<OutputFormat?> Output { get; } = Choice<OutputFormat>(
        "--output", "How results are printed: a table for people, or json for programs. Default: table.");

    public static Option<bool> Shared { get; } = new("--shared")
    {
        Description = "Others may mount it with --shared at the same time, and write; each sees what the others have written. Slower.",
    };

    public static Option<bool> Dev { get; } = new("--dev") { Description = "Device nodes on it work. Needs root. Default: they do not." };

    public static Option<bool> Suid { get; } = new("--suid")
    {
        Description = "Set-user-id and set-group-id bits of programs on it work. Needs root. Default: they do not.",
    };

    public static Option<bool> NoAtime { get; } = new("--noatime")
    {
        Description = "Reading never moves access times. Default: as relatime, once after each change, and once a day.",
    };

    public static Option<TimeSpan?> Timeout { get; } = Duration(
        "--timeout",
        "How long programs wait for a pool that does not answer before they get EIO; only with --shared. Default: for ever, as if the disk were slow.");

    static SharedOptions()
    {
        Output.Recursive = true;
        Output.Aliases.Add("-o");
    }

    public static Option<TimeSpan?> Duration(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "TIME",
        CustomParser = static result =>
        {
            if (DurationText.TryParse(result.Tokens[0].Value, out TimeSpan time)) { return time; }
            result.AddError($"'{result.Tokens[0].Value}' is no such time. {DurationText.Rule}");
            return null;
        },
    };

    /// <summary>A name of a drive that is there, completed from the running process.</summary>
    public static Argument<string> Drive(string description) =>
        Name("drive", "DRIVE", description, "the name of a drive").CompletedBy(LiveNames.Drives);

    public static Argument<string> Snapshot(string description, Argument<string> drive) =>
        Name("snapshot", "SNAPSHOT", description, "the name of a snapshot").CompletedBy(
            context => LiveNames.Snapshots(context, drive));

    public static Argument<string> Name(string name, string helpName, string description, string what)
    {
        Argument<string> argument = new(name) { Description = description, HelpName = helpName };
        argument.Validators.Add(result =>
        {
            foreach (Token token in result.Tokens) { Check(result, () => NameRule.Check(token.Value, what)); }
        });
        return argument;
    }

    public static Option<ulong?> Size(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "SIZE",
        CustomParser = result =>
        {
            if (SizeText.TryParse(result.Tokens[0].Value, out ulong bytes)) { return bytes; }
            result.AddError($"'{result.Tokens[0].Value}' is no size. {SizeText.Rule}");
            return null;
        },
    };

    public static Option<bool> Yes() => new("--yes", "-y") { Description = "Do not ask." };

    /// <summary>An option whose values are the names of an enumeration, in lower case.</summary>
    public static Option<T?> Choice<T>(string name, string description)
        where T : struct, Enum
    {
        string[] words = [.. Enum.GetNames<T>().Select(Lower)];
        Option<T?> option = new(name)
        {
            Description = description,
            HelpName = string.Join('|', words),
            CustomParser = result =>
            {
                string word = result.Tokens[0].Value;
                if (words.Contains(word) && Enum.TryParse(word, ignoreCase: true, out T value)) { return value; }
                result.AddError($"'{word}' is not one of {string.Join(", ", words)}.");
                return null;
            },
        };
        option.CompletionSources.Clear();  // It would offer the names as the code spells them, too.
        option.CompletionSources.Add(_ => words.Select(word => new System.CommandLine.Completions.CompletionItem(word)));
        return option;
    }

    private static string Lower(string name)
    {
        Span<char> lower = stackalloc char[name.Length];
        _ = name.AsSpan().ToLowerInvariant(lower);
        return lower.ToString();
    }

    private static void Check(ArgumentResult result, Action check)
    {
        try
        {
            check();
        }
        catch (CommandException e)
        {
            result.AddError(e.Message);
        }
    }
}
