using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Hosting;

/// <summary>Directories that are, or become, mountpoints.</summary>
internal static class MountDirectory
{
    /// <exception cref="CommandException">It is not absolute: the process that mounts has a working directory of its own.
    /// </exception>
    public static string Absolute(string directory)
    {
        if (!Path.IsPathFullyQualified(directory) || directory.Contains('\0', StringComparison.Ordinal))
        {
            throw new CommandException(ExitCode.Usage, "The directory must be an absolute path.");
        }
        return Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
    }

    /// <summary>Makes a directory to mount on if it is missing, and answers its path without symbolic links.</summary>
    public static string Prepare(string directory)
    {
        string path = Absolute(directory);
        if (File.Exists(path)) { throw new CommandException(ExitCode.Usage, $"{path} is a file, not a directory."); }
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (UnauthorizedAccessException)
        {
            throw new CommandException(
                ExitCode.NotPermitted, $"This user may not make {path}.", "Choose another directory, or make it as root.");
        }
        return Resolve(path);
    }

    /// <summary>The path as the kernel's mount table shows it. Never asks the file system that is mounted there.</summary>
    public static string Resolve(string path)
    {
        string? parent = Path.GetDirectoryName(path);
        if (parent is null) { return path; }
        string inParent = Path.Combine(Resolve(parent), Path.GetFileName(path));
        string? target = new FileInfo(inParent).LinkTarget;
        if (target is null) { return inParent; }

        // The kernel itself follows at most 40 links; a longer chain, or a circle, ended Directory.CreateDirectory before.
        return new FileInfo(inParent).ResolveLinkTarget(returnFinalTarget: true) is { } final
            ? Resolve(final.FullName)
            : inParent;
    }
}
