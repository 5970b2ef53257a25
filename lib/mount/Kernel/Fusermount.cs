using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace KvFs.Mount;

/// <summary>Mounts without root, through the set-user-id program of the package fuse3.</summary>
/// <remarks>It is given one end of a socket pair in _FUSE_COMMFD, mounts, and sends the descriptor of /dev/fuse back as
/// SCM_RIGHTS with one byte. Source: fusermount3(1).</remarks>
internal static unsafe class Fusermount
{
    private const string Program = "fusermount3";

    /// <exception cref="FuseMountException">It is missing, or refused.</exception>
    public static FuseDevice Mount(string path, FuseMountOptions options)
    {
        int* pair = stackalloc int[2];
        if (LibC.socketpair(LibC.AF_UNIX, LibC.SOCK_STREAM, 0, pair) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            throw new FuseMountException(
                FuseMountFailure.Other, $"A socket pair cannot be had: {Errno.Name(error)}.", error);
        }

        try
        {
            // Only the other end is for the child.
            _ = LibC.fcntl(pair[0], LibC.F_SETFD, LibC.FD_CLOEXEC);
            string mountOptions = string.Create(
                CultureInfo.InvariantCulture,
                $"fsname={options.FsName},subtype={options.Subtype},max_read={options.MaxRequestBytes}"
                + $"{(options.ReadOnly ? ",ro" : "")}{FuseMount.CommonOptions(options)}");
            (int exitCode, string complaint) = Run(pair[1], "-o", mountOptions, "--", path);
            if (exitCode != 0) { throw Refused(path, complaint); }

            // It has ended, so the message is there or will never be.
            int descriptor = Receive(pair[0]);
            return descriptor >= 0
                ? new FuseDevice(new FuseDeviceHandle(descriptor))
                : throw new FuseMountException(FuseMountFailure.FusermountFailed, $"{Program} sent no descriptor.");
        }
        finally
        {
            _ = LibC.close(pair[0]);
            _ = LibC.close(pair[1]);
        }
    }

    /// <returns>0 or an errno.</returns>
    public static int Unmount(string path, bool lazy)
    {
        (int exitCode, string complaint) = lazy ? Run(-1, "-u", "-z", "--", path) : Run(-1, "-u", "--", path);
        return exitCode == 0 ? 0
            : complaint.Contains("busy", StringComparison.OrdinalIgnoreCase) ? Errno.EBUSY
            : complaint.Contains("not found in", StringComparison.OrdinalIgnoreCase) ? Errno.EINVAL
            : Errno.EPERM;
    }

    private static (int ExitCode, string Complaint) Run(int socket, params string[] arguments)
    {
        ProcessStartInfo start = new(Program, arguments) { RedirectStandardError = true, UseShellExecute = false };
        start.Environment["LC_ALL"] = "C";
        if (socket >= 0) { start.Environment["_FUSE_COMMFD"] = socket.ToString(CultureInfo.InvariantCulture); }
        try
        {
            using Process process = Process.Start(start)!;
            string complaint = process.StandardError.ReadToEnd().Trim();
            process.WaitForExit();
            return (process.ExitCode, complaint);
        }
        catch (Win32Exception e)
        {
            throw new FuseMountException(
                FuseMountFailure.FusermountFailed,
                $"{Program} cannot be run ({e.Message}). Install it (apt install fuse3), or run as root.");
        }
    }

    /// <summary>Reads its complaint. Pure.</summary>
    internal static FuseMountException Refused(string path, string complaint)
    {
        bool Says(string words) => complaint.Contains(words, StringComparison.OrdinalIgnoreCase);
        (FuseMountFailure reason, string advice) =
            Says("device not found") ? (FuseMountFailure.NoDevice, "Load the kernel module: modprobe fuse")
            : Says("allow_other") ? (
                FuseMountFailure.NoPermission,
                "Put user_allow_other into /etc/fuse.conf, or mount without allow_other.")
            : Says($"open {FuseDevice.Path}") ? (
                FuseMountFailure.NoPermission, $"Let users open it: chmod 666 {FuseDevice.Path}")
            : Says("permi") || Says("no write access") ? (
                FuseMountFailure.NoPermission, "Mount on a directory of your own, or as root.")
            : (FuseMountFailure.FusermountFailed, "Mount as root to see whether the fault is there.");
        return new FuseMountException(reason, $"{Program} did not mount {path}: {complaint.TrimEnd('.')}. {advice}");
    }

    /// <returns>The descriptor, or -1.</returns>
    private static int Receive(int socket)
    {
        byte payload;
        DescriptorMessage control = default;
        IoVector vector = new() { Base = &payload, Length = 1 };
        MessageHeader message = new()
        {
            Vectors = &vector,
            VectorCount = 1,
            Control = &control,
            ControlLength = (nuint)sizeof(DescriptorMessage),
        };

        // Safe: all that the message points to is on this stack frame until the call returns.
        nint count = LibC.recvmsg(socket, &message, LibC.MSG_DONTWAIT | LibC.MSG_CMSG_CLOEXEC);
        return count == 1 && control.Level == LibC.SOL_SOCKET && control.Type == LibC.SCM_RIGHTS
            && control.Length == DescriptorMessageLength ? control.Descriptor : -1;
    }

    /// <summary>CMSG_LEN of one descriptor: header and number, without the padding.</summary>
    private const int DescriptorMessageLength = 20;
}
