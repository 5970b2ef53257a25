using System.Diagnostics.CodeAnalysis;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>Block ids that the node granted itself, to put copies of a drive's bytes under.</summary>
/// <remarks>What came to nothing is given back, id by id, so that two who pack at once are not in each other's way. A crash
/// leaves the grant, and the next start ends it: <see cref="CloseGrants"/>.</remarks>
[SuppressMessage("Performance", "CA1815", Justification = "Grants are taken, used and forgotten; never compared.")]
public readonly struct NodeGrant
{
    private readonly HostedDrive? drive;
    private readonly BlockId first;
    private readonly uint count;

    private NodeGrant(HostedDrive drive, BlockId first, uint count)
    {
        this.drive = drive;
        this.first = first;
        this.count = count;
    }

    /// <summary>The session that the node's own blocks are granted to.</summary>
    public static SessionId Session => default;

    /// <summary>The block at a place of the grant.</summary>
    public BlockName this[int at] => new(drive!.Id, new(first.Value + (ulong)at));

    /// <summary>Has ids granted: Ok, or what the transaction answers.</summary>
    public static Status Take(HostedDrive drive, uint count, out NodeGrant grant)
    {
        ArgumentNullException.ThrowIfNull(drive);
        Status status = drive.Transact(
            Session,
            static (in uint wanted, DriveTransaction transaction, out BlockId granted) =>
                GrantBlocks.Apply(Session, wanted, transaction, out granted),
            count,
            SpaceUse.Metadata,
            out BlockId first);
        grant = status == Status.Ok ? new(drive, first, count) : default;
        return status;
    }

    /// <summary>Gives back what no record names: it is dead. Nothing to do for a grant that was not given.</summary>
    public void Return()
    {
        if (drive is null) { return; }
        drive.Transact(
            Session,
            static (in NodeGrant grant, DriveTransaction transaction, out bool done) =>
            {
                done = true;
                return ReturnBlocks.Apply(Session, grant.first, grant.count, transaction);
            },
            this,
            SpaceUse.Release,
            out bool _);
        drive.Reap();
    }
}
