using System.Runtime.InteropServices;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Native;

namespace KvFs.Cli.Hosting;

/// <summary>The data folder, before anything is in it.</summary>
internal static class DataDirectory
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Makes it, for its owner only, if it is missing. One that is there must be this user's, or root's, and be writable.
    /// </summary>
    /// <exception cref="CommandException">It cannot be made or written, is no folder, or is somebody else's.</exception>
    public static void Prepare(string path)
    {
        if (File.Exists(path)) { throw new CommandException(ExitCode.Usage, $"The data folder {path} is a file."); }
        try
        {
            if (Directory.Exists(path))
            {
                CheckOwner(path);
                CheckAccess(path);
            }
            else { Directory.CreateDirectory(path, OwnerOnly); }
        }
        catch (UnauthorizedAccessException)
        {
            throw new CommandException(
                ExitCode.NotPermitted, $"This user may not make the data folder {path}.",
                $"Name one that it may make, with --data or {DataFolder.Variable}.");
        }
        catch (IOException e)
        {
            throw new CommandException(ExitCode.Failure, $"The data folder {path} cannot be used: {e.Message}");
        }
    }

    /// <summary>Whether a user may keep data in a folder of this owner: its owner can read and replace all of it. Root could
    /// anyway; a volume that root prepared for a group is root's.</summary>
    internal static bool IsTrusted(uint owner, uint user) => owner == user || owner == 0;

    /// <exception cref="IOException">It cannot be asked.</exception>
    internal static uint OwnerOf(string path)
    {
        if (Posix.statx(Posix.AtFdCwd, path, 0, Posix.StatxUid, out FileOwner found) == 0) { return found.Uid; }
        throw new IOException(Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));
    }

    private static void CheckOwner(string path)
    {
        uint owner = OwnerOf(path);
        if (IsTrusted(owner, Posix.geteuid())) { return; }
        throw new CommandException(
            ExitCode.NotPermitted,
            $"The data folder {path} belongs to another user (uid {owner}), who could read and replace everything in it.",
            "Name another one with --data, or make it this user's with chown.");
    }

    /// <exception cref="CommandException">It cannot be written: nothing can be opened in it then, not even to look.</exception>
    private static void CheckAccess(string path)
    {
        if (Posix.access(path, Posix.WriteOk | Posix.PassOk) == 0) { return; }
        throw Marshal.GetLastPInvokeError() switch
        {
            Posix.ERoFs => new CommandException(
                ExitCode.Failure, $"The data folder {path} is on a file system that is mounted read-only.",
                "Mount it for writing (mount -o remount,rw), or name another folder with --data. If the system made it read-only, "
                + "its log (dmesg) says why."),
            Posix.EAccess => new CommandException(
                ExitCode.NotPermitted, $"This user may not write into the data folder {path}.",
                "Run kvfs as the folder's owner, or name another one with --data."),
            int error => new CommandException(
                ExitCode.Failure, $"The data folder {path} cannot be used: {Marshal.GetPInvokeErrorMessage(error)}"),
        };
    }

    /// <exception cref="CommandException">It is missing, or cannot be written.</exception>
    public static void MustExist(string path)
    {
        if (Directory.Exists(path))
        {
            CheckAccess(path);
            return;
        }
        throw new CommandException(
            ExitCode.NotFound, $"There is no data folder {path}.", $"Name it with --data or {DataFolder.Variable}.");
    }
}
