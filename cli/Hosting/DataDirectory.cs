using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Hosting;

/// <summary>The data folder, before anything is in it.</summary>
internal static class DataDirectory
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Makes it, for its owner only, if it is missing.</summary>
    /// <exception cref="CommandException">It cannot be made, or is no folder.</exception>
    public static void Prepare(string path)
    {
        if (File.Exists(path)) { throw new CommandException(ExitCode.Usage, $"The data folder {path} is a file."); }
        if (Directory.Exists(path)) { return; }
        try
        {
            Directory.CreateDirectory(path, OwnerOnly);
        }
        catch (UnauthorizedAccessException)
        {
            throw new CommandException(
                ExitCode.NotPermitted, $"This user may not make the data folder {path}.",
                $"Name one that it may make, with --data or {DataFolder.Variable}.");
        }
        catch (IOException e)
        {
            throw new CommandException(ExitCode.Failure, $"The data folder {path} cannot be made: {e.Message}");
        }
    }

    /// <exception cref="CommandException">It is missing.</exception>
    public static void MustExist(string path)
    {
        if (Directory.Exists(path)) { return; }
        throw new CommandException(
            ExitCode.NotFound, $"There is no data folder {path}.", $"Name it with --data or {DataFolder.Variable}.");
    }
}
