using System.Globalization;
using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Mounts file systems.</summary>
public static class FuseMount
{
    /// <summary>Checks the mountpoint, mounts, negotiates, starts the workers.</summary>
    /// <returns>The connection; requests are being served.</returns>
    /// <exception cref="FuseMountException">It did not work; nothing is left mounted.</exception>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static FuseConnection Mount(string path, IFuseHandler handler, FuseMountOptions options)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(handler);
        ArgumentNullException.ThrowIfNull(options);
        CheckOptions(options);
        bool direct = options.Method == FuseMountMethod.Direct
            || (options.Method == FuseMountMethod.Automatic && LibC.geteuid() == 0);
        FuseMountpoint mountpoint = FuseMountpoint.Check(path, options, direct);
        FuseDevice device = direct
            ? MountDirectly(mountpoint.Path, options)
            : Fusermount.Mount(mountpoint.Path, options);
        FuseConnection? connection = null;
        try
        {
            mountpoint.OnMounted();
            FuseNegotiated negotiated = FuseHandshake.Run(device, options);
            uint readahead = mountpoint.RaiseReadahead(negotiated.MaxReadaheadBytes, options.MaxReadaheadBytes);
            negotiated = negotiated with { MaxReadaheadBytes = readahead };
            connection = new FuseConnection(mountpoint, device, negotiated, handler, options);
            handler.Mounted(connection);
        }
        catch
        {
            // Without a descriptor the connection is dead, so that nothing can wait for it.
            connection?.Abandon();
            device.Dispose();
            mountpoint.TryDetach();
            throw;
        }

        connection.Start();
        return connection;
    }

    private static void CheckOptions(FuseMountOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Workers, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Workers, FuseMountOptions.LargestWorkers);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxRequestBytes, NativeBuffer.PageBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.MaxRequestBytes, FuseMountOptions.LargestRequestBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(options.MaxRequestBytes % NativeBuffer.PageBytes, 0);
        CheckName(options.FsName, nameof(options.FsName));
        CheckName(options.Subtype, nameof(options.Subtype));
    }

    /// <summary>These go into a list that is split at commas.</summary>
    private static void CheckName(string name, string option)
    {
        if (name.Length == 0 || name.AsSpan().ContainsAny(",\\\n\0 "))
        {
            throw new ArgumentException($"{option} must be without commas, blanks and backslashes.", option);
        }
    }

    private static FuseDevice MountDirectly(string path, FuseMountOptions options)
    {
        int error = FuseDevice.TryOpen(out FuseDevice? device);
        if (error != 0) { throw CannotOpen(error); }
        uint flags = (options.ReadOnly ? LibC.MS_RDONLY : 0)
            | (options.AllowSetId ? 0 : LibC.MS_NOSUID)
            | (options.AllowDevices ? 0 : LibC.MS_NODEV);
        string data = string.Create(
            CultureInfo.InvariantCulture,
            $"fd={device!.Descriptor},rootmode=40000,user_id={LibC.geteuid()},group_id={LibC.getegid()},"
            + $"max_read={options.MaxRequestBytes}{CommonOptions(options)}");
        if (LibC.mount(options.FsName, path, $"fuse.{options.Subtype}", flags, data) == 0) { return device; }
        error = Marshal.GetLastPInvokeError();
        device.Dispose();
        throw CannotMount(path, error);
    }

    /// <summary>The options that both ways share, each with a comma before it.</summary>
    internal static string CommonOptions(FuseMountOptions options) =>
        (options.DefaultPermissions ? ",default_permissions" : "") + (options.AllowOther ? ",allow_other" : "");

    internal static FuseMountException CannotOpen(int error) => error switch
    {
        Errno.ENOENT or Errno.ENODEV or Errno.ENXIO => new FuseMountException(
            FuseMountFailure.NoDevice,
            $"There is no {FuseDevice.Path}. Load the kernel module (modprobe fuse), or give the container the device "
            + $"(--device {FuseDevice.Path}).",
            error),
        Errno.EACCES or Errno.EPERM => new FuseMountException(
            FuseMountFailure.NoPermission,
            $"This user may not open {FuseDevice.Path}. Mount as root, or through fusermount3 (apt install fuse3).",
            error),
        _ => new FuseMountException(
            FuseMountFailure.Other, $"Opening {FuseDevice.Path} failed with {Errno.Name(error)}.", error),
    };

    private static FuseMountException CannotMount(string path, int error) => error switch
    {
        Errno.EPERM or Errno.EACCES => new FuseMountException(
            FuseMountFailure.NoPermission,
            $"This process may not mount on {path}: it needs CAP_SYS_ADMIN (a privileged container), or fusermount3 "
            + "(apt install fuse3) and the method Fusermount.",
            error),
        Errno.ENODEV => new FuseMountException(
            FuseMountFailure.NoDevice, "This kernel has no FUSE. Load its module: modprobe fuse", error),
        Errno.EBUSY => new FuseMountException(
            FuseMountFailure.Busy, $"{path} is in use by another mount. Choose another directory.", error),
        Errno.ENOENT => new FuseMountException(
            FuseMountFailure.MountpointMissing, $"{path} does not exist any more. Create it: mkdir -p {path}", error),
        Errno.ENOTDIR => new FuseMountException(
            FuseMountFailure.NotDirectory, $"{path} is not a directory.", error),
        Errno.EINVAL => new FuseMountException(
            FuseMountFailure.NoDevice,
            $"The kernel does not take {FuseDevice.Path} for its device, or not the options of a mount on {path} (EINVAL). Look at it "
            + $"(ls -l {FuseDevice.Path}: it is 'c' and '10, 229'), and give a container the host's own (--device {FuseDevice.Path}).",
            error),
        Errno.ENOTCONN => new FuseMountException(
            FuseMountFailure.Stale, $"{path} is a dead FUSE mount. Remove it: umount -l {path}", error),
        _ => new FuseMountException(
            FuseMountFailure.Other, $"Mounting on {path} failed with {Errno.Name(error)}.", error),
    };
}
