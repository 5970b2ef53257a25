using KvFs.Core;

namespace KvFs.Protocol.Wire;

/// <summary>Drives and snapshots, as lists show them.</summary>
public static class WireDrives
{
    public static V1.DriveInfo ToWire(this DriveInfo drive)
    {
        ArgumentNullException.ThrowIfNull(drive);
        V1.DriveInfo sent = new()
        {
            Id = drive.Id.ToWire(),
            Name = drive.Name,
            Kind = (V1.DriveKind)drive.Kind,
            QuotaBytes = drive.QuotaBytes,
            QuotaInodes = drive.QuotaInodes,
            UsedBytes = drive.UsedBytes,
            UsedInodes = drive.UsedInodes,
            Created = drive.Created.Nanoseconds,
            Spread = (uint)drive.Spread,
        };
        if (drive.Snapshots is { } snapshots) { sent.Snapshots = (uint)snapshots; }
        if (drive.Origin is { } origin) { sent.Origin = origin.ToWire(); }
        if (drive.OriginName is { } name) { sent.OriginName = name; }
        return sent;
    }

    public static DriveInfo ToCore(this V1.DriveInfo? drive)
    {
        if (drive is null) { throw new InvalidDataException("an answer without its drive"); }
        return new(
            drive.Id.ToDriveId(),
            drive.Name,
            (DriveKind)WireValues.To8Bits((int)drive.Kind),
            drive.QuotaBytes,
            drive.QuotaInodes,
            drive.UsedBytes,
            drive.UsedInodes,
            new(drive.Created),
            drive.HasSnapshots ? (int)Math.Min(drive.Snapshots, int.MaxValue) : null,
            drive.HasOrigin ? drive.Origin.ToDriveId() : null,
            drive.HasOriginName ? drive.OriginName : null,
            (int)Math.Min(drive.Spread, ShardOfBlock.MaxSpread));
    }

    public static V1.Snapshot ToWire(this SnapshotInfo snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        return new() { Name = snapshot.Name, At = snapshot.At.Value, Created = snapshot.Created.Nanoseconds };
    }

    public static SnapshotInfo ToCore(this V1.Snapshot? snapshot) => snapshot is null
        ? throw new InvalidDataException("an answer without its snapshot")
        : new(snapshot.Name, new(snapshot.At), new(snapshot.Created));
}
