using KvFs.Core;
using KvFs.Simulation.Nodes;

namespace KvFs.Simulation.Pool;

/// <content>Room in the quota that clients set aside, use, and give back.</content>
internal sealed partial class NamespaceClient
{
    /// <summary>Whether an answer says that the drive's quota has no room.</summary>
    private bool IsFull(Status status) =>
        (status == Status.NoInodes && world.QuotaInodes != 0) || (status == Status.NoSpace && world.QuotaBytes != 0);

    /// <summary>What a change of a tree adds to a drive's use.</summary>
    private static Reservation Needed(ModelTree before, ModelTree after) => new(
        Math.Max(before.Backed, after.Backed) - before.Backed, Math.Max(before.Inodes, after.Inodes) - before.Inodes);

    /// <summary>A change was refused for want of room: it must not be what was set aside for it, in the same term.</summary>
    private void CheckPromise(string what, Reservation? needed)
    {
        world.Note("quota");
        if (needed is not { } room || room.Bytes > drive.Reserved.Bytes || room.Inodes > drive.Reserved.Inodes) { return; }
        if (drive.IsReservedThere)
        {
            throw new PoolFailedException($"client {Number}: there is no room for {what}, which needs {room}, and has {drive.Reserved}");
        }

        world.Note("reserved under the primary before, and refused");
    }

    private void Reserve()
    {
        Reservation wanted = new(
            world.QuotaBytes == 0 ? 0 : (ulong)world.Random.Next(4) * ModelFile.CellBytes, world.QuotaInodes == 0 ? 0 : (ulong)world.Random.Next(3));
        drive.Reserve(wanted, status =>
        {
            world.Note(status == Status.Ok ? "reserved" : "reservation refused");
            EndOf("a reservation", IsFull(status) ? Status.Ok : status);
        });
    }

    private void Unreserve() => drive.Unreserve(status => EndOf("the end of a reservation", status));

    /// <summary>The end of what does not change its directory, and is to be done.</summary>
    private void EndOf(string what, Status status)
    {
        if (IsOver(status)) { Recover(null); }
        else if (status != Status.Ok) { throw new PoolFailedException($"client {Number}: {what} is answered {status}"); }
        else { GoOn(); }
    }
}
