using System.Globalization;
using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>A path that may become, or is, a mount of ours.</summary>
internal sealed class FuseMountpoint
{
    private const int PathMax = 4096;
    private readonly bool direct;
    private string device = "";

    private FuseMountpoint(string path, bool direct)
    {
        Path = path;
        this.direct = direct;
    }

    /// <summary>Absolute, without symbolic links.</summary>
    public string Path { get; }

    /// <summary>Checks that the path can be mounted on.</summary>
    /// <exception cref="FuseMountException">It cannot; the message says what to do.</exception>
    public static FuseMountpoint Check(string path, FuseMountOptions options, bool direct)
    {
        ThrowIfMounted(System.IO.Path.GetFullPath(path));
        string real = Resolve(path);
        ThrowIfMounted(real);
        if (!Directory.Exists(real))
        {
            throw new FuseMountException(
                FuseMountFailure.NotDirectory, $"{real} is not a directory. Choose or create a directory to mount on.");
        }

        if (!options.AllowNonEmpty && HasEntries(real))
        {
            throw new FuseMountException(
                FuseMountFailure.NotEmpty,
                $"{real} is not empty; a mount would hide what is in it. Choose an empty directory.");
        }

        return new FuseMountpoint(real, direct);
    }

    /// <summary>It was just mounted: remembers which connection it is.</summary>
    public void OnMounted() => device = MountTable.FindTop(Path)?.Device ?? "";

    /// <exception cref="FuseMountException">It is in use, covered, or this user may not.</exception>
    public void Unmount(FuseUnmountMode mode)
    {
        MountEntry? top = MountTable.FindTop(Path);
        if (top is null || top.Device != device)
        {
            if (top is null || !MountTable.Contains(device)) { return; }
            throw new FuseMountException(
                FuseMountFailure.Busy,
                $"{Path} is covered by another mount ({top.Type} from {top.Source}). "
                + $"Unmount that first: umount {Path}");
        }

        if (mode == FuseUnmountMode.Force && !direct) { Abort(top); }
        int error = direct ? UnmountDirectly(mode) : Fusermount.Unmount(Path, lazy: mode != FuseUnmountMode.Normal);

        // EINVAL, ENOENT: somebody else was faster.
        if (error is 0 or Errno.EINVAL or Errno.ENOENT) { return; }
        throw error switch
        {
            Errno.EBUSY => new FuseMountException(
                FuseMountFailure.Busy,
                $"{Path} is in use. Close its files and leave its directories (fuser -vm {Path} shows who), "
                + "or unmount lazily.",
                error),
            Errno.EPERM or Errno.EACCES => new FuseMountException(
                FuseMountFailure.NoPermission, $"Unmounting {Path} needs the user who mounted it, or root.", error),
            _ => new FuseMountException(
                FuseMountFailure.Other, $"Unmounting {Path} failed with {Errno.Name(error)}.", error),
        };
    }

    private int UnmountDirectly(FuseUnmountMode mode)
    {
        int flags = mode switch
        {
            FuseUnmountMode.Lazy => LibC.MNT_DETACH,
            FuseUnmountMode.Force => LibC.MNT_FORCE | LibC.MNT_DETACH,
            _ => 0,
        };
        return LibC.umount2(Path, flags | LibC.UMOUNT_NOFOLLOW) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>Aborts through fusectl, whose files belong to the user who mounted.</summary>
    private static void Abort(MountEntry entry)
    {
        string number = entry.ConnectionNumber.ToString(CultureInfo.InvariantCulture);
        string file = $"/sys/fs/fuse/connections/{number}/abort";
        try
        {
            File.WriteAllText(file, "1");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FuseMountException(
                FuseMountFailure.NoPermission, $"Aborting the mount through {file} failed: {e.Message}");
        }
    }

    private static void ThrowIfMounted(string path)
    {
        if (MountTable.FindTop(path) is not { } entry) { return; }
        if (entry.IsFuse && OpenError(path) is Errno.ENOTCONN or Errno.ECONNABORTED)
        {
            throw new FuseMountException(
                FuseMountFailure.Stale,
                $"{path} is a dead FUSE mount ({entry.Source}): its server is gone. Remove it with: "
                + $"fusermount3 -u -z {path}   (or as root: umount -l {path})",
                Errno.ENOTCONN);
        }

        throw new FuseMountException(
            FuseMountFailure.Busy,
            $"{path} is a mount already ({entry.Type} from {entry.Source}). Unmount it or choose another directory.",
            Errno.EBUSY);
    }

    /// <summary>What opening the directory says; 0: it opens.</summary>
    private static int OpenError(string path)
    {
        int descriptor = LibC.open(path, LibC.O_RDONLY | LibC.O_CLOEXEC);
        if (descriptor < 0) { return Marshal.GetLastPInvokeError(); }
        _ = LibC.close(descriptor);
        return 0;
    }

    private static unsafe string Resolve(string path)
    {
        byte* resolved = stackalloc byte[PathMax];

        // Safe: realpath(3) writes at most PATH_MAX bytes, its NUL included.
        if (LibC.realpath(path, resolved) != 0) { return Marshal.PtrToStringUTF8((nint)resolved)!; }
        int error = Marshal.GetLastPInvokeError();
        throw error switch
        {
            Errno.ENOENT => new FuseMountException(
                FuseMountFailure.MountpointMissing, $"{path} does not exist. Create it: mkdir -p {path}", error),
            Errno.ENOTDIR => new FuseMountException(
                FuseMountFailure.NotDirectory, $"A part of {path} is not a directory.", error),
            Errno.EACCES or Errno.EPERM => new FuseMountException(
                FuseMountFailure.NoPermission, $"This user may not reach {path}.", error),
            Errno.ENOTCONN => new FuseMountException(
                FuseMountFailure.Stale,
                $"{path} lies on a dead FUSE mount: its server is gone. Find it in /proc/mounts and unmount it.",
                error),
            _ => new FuseMountException(
                FuseMountFailure.Other, $"{path} cannot be used: {Errno.Name(error)}.", error),
        };
    }

    private static bool HasEntries(string path)
    {
        try
        {
            return Directory.EnumerateFileSystemEntries(path).Any();
        }
        catch (UnauthorizedAccessException e)
        {
            throw new FuseMountException(
                FuseMountFailure.NoPermission, $"This user may not list {path}: {e.Message}", Errno.EACCES);
        }
    }
}
