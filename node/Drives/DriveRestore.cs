using System.Text;
using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Drives;

/// <summary>Runs the steps of a restore, each a transaction of its own.</summary>
internal static class DriveRestore
{
    /// <summary>Restores a path or the whole drive. What fails is given up, so that nothing of it stays; a whole drive cannot
    /// be, and goes on with the next call, or the next start.</summary>
    public static Status Run(HostedDrive drive, string snapshot, string path, CancellationToken cancellationToken)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(path);
        Status status = Status.Ok;
        bool isOurs = true;
        for (bool more = true; status == Status.Ok && more;)
        {
            status = drive.Transact(
                default,
                static (in Request request, DriveTransaction transaction, out bool left) => RestoreTree.Apply(
                    request.Snapshot, request.Path, request.Drive.Holds, transaction, out left),
                new Request(drive, snapshot, bytes),
                SpaceUse.Metadata,
                out more,
                restores: true);
            isOurs = status != Status.InUse;
            if (more && cancellationToken.IsCancellationRequested) { status = Status.Interrupted; }
        }

        if (status != Status.Ok && isOurs)
        {
            Cancel(drive);
            Resume(drive);
        }

        return status;
    }

    /// <summary>Goes on with a restore that a stop or a crash interrupted, to its end; one that fails is given up.</summary>
    public static Status Finish(HostedDrive drive)
    {
        Status status = Resume(drive);
        if (status == Status.Ok) { return status; }
        Cancel(drive);
        Resume(drive);
        return status;
    }

    private static Status Resume(HostedDrive drive)
    {
        Status status = Status.Ok;
        for (bool more = true; status == Status.Ok && more;)
        {
            status = drive.Transact(
                default,
                static (in HostedDrive restored, DriveTransaction transaction, out bool left) =>
                    RestoreTree.Resume(restored.Holds, transaction, out left),
                drive,
                SpaceUse.Metadata,
                out more,
                restores: true);
        }

        return status;
    }

    private static Status Cancel(HostedDrive drive) => drive.Transact(
        default,
        static (in bool _, DriveTransaction transaction, out bool done) =>
        {
            done = true;
            return RestoreTree.Cancel(transaction);
        },
        false,
        SpaceUse.Release,
        out _,
        restores: true);

    private readonly record struct Request(HostedDrive Drive, string Snapshot, byte[] Path);
}
