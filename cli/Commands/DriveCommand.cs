using System.CommandLine;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs drive …</c></summary>
internal static class DriveCommand
{
    public static Command Build() => new("drive", "Makes, shows, changes and deletes drives.")
    {
        DriveCreateCommand.Build(),
        DriveListCommand.Build(),
        DriveShowCommand.Build(),
        DriveResizeCommand.Build(),
        DriveDeleteCommand.Build(),
    };
}
