using System.CommandLine;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pki …</c></summary>
internal static class PkiCommand
{
    public static Command Build() => new("pki", "Makes, shows and renews the certificates of a pool's parts.")
    {
        PkiInitCommand.Build(),
        PkiIssueCommand.Build(),
        PkiShowCommand.Build(),
        PkiRenewCommand.Build(),
    };
}
