using KvFs.Core;

namespace KvFs.Cli.CommandLine;

/// <summary>What drives and snapshots may be called: what Kubernetes allows as a DNS subdomain (RFC 1123).</summary>
internal static class NameRule
{
    /// <summary>The rule, for messages.</summary>
    public const string Rule =
        "A name has 1 to 253 characters: lower-case letters, digits, '-' and '.', and each part between dots starts and ends with "
        + "a letter or digit. For example main, home-2, backup.2026-11-20.";

    public static bool IsName(string? text) => text is not null && ObjectNames.Check(text) == Status.Ok;

    /// <exception cref="CommandException">It is none; the message has the rule.</exception>
    public static void Check(string text, string what)
    {
        if (!IsName(text)) { throw new CommandException(ExitCode.Usage, $"'{Shown(text)}' cannot be {what}. {Rule}"); }
    }

    /// <summary>A wrong name is shown in part only: it may be anything, and of any length.</summary>
    private static string Shown(string text)
    {
        const int most = 40;
        string start = text.Length <= most ? text : text[..most] + "…";
        return string.Concat(start.Select(letter => char.IsControl(letter) ? '?' : letter));
    }
}
