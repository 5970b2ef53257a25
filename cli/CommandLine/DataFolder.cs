namespace KvFs.Cli.CommandLine;

/// <summary>Where a node keeps its data, and where its drive appears, unless the user says otherwise.</summary>
internal static class DataFolder
{
    public const string Variable = "KVFS_DATA";

    /// <summary>The folder named on the command line, else by the variable, else the usual place; absolute.</summary>
    public static string Resolve(string? given)
    {
        string? named = string.IsNullOrEmpty(given) ? Environment.GetEnvironmentVariable(Variable) : given;
        return Path.TrimEndingDirectorySeparator(Path.GetFullPath(string.IsNullOrEmpty(named) ? UsualPlace() : named));
    }

    public static string DefaultMount() =>
        Environment.IsPrivilegedProcess ? "/mnt/kvfs" : Path.Combine(Home(), "kvfs");

    private static string UsualPlace() =>
        Environment.IsPrivilegedProcess ? "/var/lib/kvfs" : Path.Combine(Home(), ".local/share/kvfs");

    private static string Home() => Environment.GetFolderPath(
        Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify) is { Length: > 0 } home
        ? home
        : throw new CommandException(
            ExitCode.Usage, "This user has no home folder.", $"Name the data folder with --data or {Variable}.");
}
