using System.CommandLine;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs snapshot …</c></summary>
internal static class SnapshotCommand
{
    public static Command Build() => new("snapshot", "Keeps versions of a drive, and goes back to them.")
    {
        SnapshotCreateCommand.Build(),
        SnapshotListCommand.Build(),
        SnapshotDeleteCommand.Build(),
        SnapshotRestoreCommand.Build(),
    };
}
