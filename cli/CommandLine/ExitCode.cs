using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvFs.Cli.CommandLine;

/// <summary>What the process ends with, and the code of an error on the control channel.</summary>
/// <remarks>Scripts rely on the numbers: never renumber. <see cref="ExitCodes.Meanings"/> has the text for people.</remarks>
[JsonConverter(typeof(CamelCaseConverter))]
internal enum ExitCode
{
    Ok = 0,
    Failure = 1,
    Usage = 2,
    NotFound = 3,
    Exists = 4,
    InUse = 5,
    NoSpace = 6,
    NotRunning = 7,
    Refused = 8,
    Damaged = 9,
    NotPermitted = 10,
    Interrupted = 130,
}

/// <summary>Writes codes as <c>notFound</c>; refuses numbers.</summary>
internal sealed class CamelCaseConverter()
    : JsonStringEnumConverter<ExitCode>(JsonNamingPolicy.CamelCase, allowIntegerValues: false);

internal static class ExitCodes
{
    /// <summary>Every code and what it tells a script, in the order of the numbers.</summary>
    public static IReadOnlyList<(ExitCode Code, string Meaning)> Meanings { get; } =
    [
        (ExitCode.Ok, "It worked."),
        (ExitCode.Failure, "It failed; the message says why."),
        (ExitCode.Usage, "The command line, or a name, size or path on it, is wrong. Nothing was done."),
        (ExitCode.NotFound, "There is no such drive, snapshot, mount, folder or file."),
        (ExitCode.Exists, "The name is taken, or a file is there that would be replaced."),
        (ExitCode.InUse, "It is in use: a data folder by another process, a mount by programs, a drive by a mount."),
        (ExitCode.NoSpace, "The disk, or the drive's quota, is full."),
        (ExitCode.NotRunning, "No kvfs runs on this data folder, or no node of the pool answers."),
        (ExitCode.Refused, "It needs a confirmation: answer with y, or pass --yes."),
        (ExitCode.Damaged, "fsck found damage."),
        (ExitCode.NotPermitted, "This user may not do it."),
        (ExitCode.Interrupted, "Ctrl-C ended it."),
    ];
}
