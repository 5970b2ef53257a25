using System.CommandLine;
using System.CommandLine.Help;
using KvFs.Cli.Commands;

namespace KvFs.Cli.CommandLine;

/// <summary>The whole command line of <c>kvfs</c>.</summary>
internal static class KvfsCommandLine
{
    public static RootCommand Build()
    {
        RootCommand root = new("A crash-proof file system on one machine, with snapshots and clones that cost nothing to take.")
        {
            SharedOptions.Data,
            SharedOptions.Output,
            UpCommand.Build(),
            DownCommand.Build(),
            StatusCommand.Build(),
            TopCommand.Build(),
            DriveCommand.Build(),
            SnapshotCommand.Build(),
            CloneCommand.Build(),
            MountCommand.Build(),
            UmountCommand.Build(),
            DfCommand.Build(),
            FsckCommand.Build(),
            BenchCommand.Build(),
            NodeCommand.Build(),
            PoolCommand.Build(),
            PkiCommand.Build(),
            CompletionCommand.Build(),
            VersionCommand.Build(),
        };
        root.Add(HelpCommand.Build(root));
        root.WithExamples(
            ("kvfs up --detach", "serve a drive in the background, and say where it is mounted"),
            ("kvfs snapshot create main before-upgrade", "keep the drive as it is now"),
            ("kvfs status", "what runs, and how it is"),
            ("kvfs top", "what it does, live"),
            ("kvfs help exit-codes", "what the exit codes mean"));
        foreach (Option option in root.Options)
        {
            if (option is HelpOption { Action: HelpAction usual } help) { help.Action = new HelpWithExamples(usual); }
        }
        return root;
    }
}
