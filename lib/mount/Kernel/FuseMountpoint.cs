using System.Globalization;
using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Mount;

/// <summary>A path that may become, or is, a mount of ours.</summary>
internal sealed class FuseMountpoint
{
    private const int PathMax = 4096;
    private const string ControlFolder = "/sys/fs/fuse/connections";
    private readonly bool mountedDirectly;
    private MountEntry? mounted;

    private FuseMountpoint(string path, bool direct)
    {
        Path = path;
        mountedDirectly = direct;
    }

    private static bool IsRoot => LibC.geteuid() == 0;

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
    /// <exception cref="FuseMountException">The mount table does not show it.</exception>
    public void OnMounted()
    {
        mounted = MountTable.FindTop(Path) ?? throw new FuseMountException(
            FuseMountFailure.Other, $"{Path} was mounted, but the mount table does not show it.");
    }

    /// <summary>Lets the kernel read further ahead on this mount than the 128 KiB that INIT can negotiate; needs root.
    /// </summary>
    /// <returns>Bytes that are in force now.</returns>
    public uint RaiseReadahead(uint granted, uint wanted)
    {
        Invariant.Check(mounted is not null);
        if (wanted <= granted) { return granted; }
        try
        {
            string kibibytes = (wanted / 1024).ToString(CultureInfo.InvariantCulture);
            File.WriteAllText($"/sys/class/bdi/{mounted.Device}/read_ahead_kb", kibibytes);
            return wanted / 1024 * 1024;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Without root, or without sysfs: slower cold reads, nothing worse.
            return granted;
        }
    }

    /// <summary>Frees the path of a mount that has no server; an error changes nothing any more.</summary>
    public void TryDetach()
    {
        try
        {
            _ = Detach(FuseUnmountMode.Lazy);
        }
        catch (FuseMountException)
        {
            // The failure that led here is the one to tell.
        }
    }

    /// <exception cref="FuseMountException">It is in use, covered, or this user may not.</exception>
    public void Unmount(FuseUnmountMode mode)
    {
        Invariant.Check(mounted is not null);
        MountEntry? top = MountTable.FindTop(Path);
        bool isOurs = top?.Device == mounted.Device;
        bool isMounted = isOurs || MountTable.Contains(mounted.Device);
        if (mode == FuseUnmountMode.Force && !(isOurs && IsRoot)) { Abort(mounted, isMounted); }
        if (!isOurs)
        {
            // Gone from here; a force has ended it everywhere.
            if (mode == FuseUnmountMode.Force || !isMounted) { return; }
            throw new FuseMountException(
                FuseMountFailure.Busy,
                $"{Path} is covered by another mount ({top?.Type} from {top?.Source}). "
                + $"Unmount that first: umount {Path}");
        }

        int error = Detach(mode);

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

    private int Detach(FuseUnmountMode mode)
    {
        bool direct = mountedDirectly || (mode == FuseUnmountMode.Force && IsRoot);
        if (!direct) { return Fusermount.Unmount(Path, lazy: mode != FuseUnmountMode.Normal); }
        int flags = mode switch
        {
            FuseUnmountMode.Lazy => LibC.MNT_DETACH,
            FuseUnmountMode.Force => LibC.MNT_FORCE | LibC.MNT_DETACH,
            _ => 0,
        };
        return LibC.umount2(Path, flags | LibC.UMOUNT_NOFOLLOW) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>Aborts through fusectl, whose files belong to the user who mounted.</summary>
    private static void Abort(MountEntry entry, bool isMounted)
    {
        if (MountTable.FindTop(ControlFolder) is null)
        {
            if (!isMounted) { return; }
            throw new FuseMountException(
                FuseMountFailure.Other,
                $"Aborting a mount needs fusectl. Mount it: mount -t fusectl fusectl {ControlFolder}");
        }

        string number = entry.ConnectionNumber.ToString(CultureInfo.InvariantCulture);
        string file = $"{ControlFolder}/{number}/abort";
        try
        {
            File.WriteAllText(file, "1");
        }
        catch (DirectoryNotFoundException)
        {
            // The connection is gone: that is what was wanted.
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
