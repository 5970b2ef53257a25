using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Replication;

/// <summary>The records of all drives of one shard, among those of the others.</summary>
internal static class ShardRecords
{
    /// <summary>The drives of a shard that have records, ascending; each drive of the store costs one seek.</summary>
    public static List<DriveId> DrivesOf(IKeyValueReader store, ShardId shard, int shardCount) =>
        [.. Drives(store).Where(drive => HomeShard.Of(drive, shardCount) == shard)];

    /// <summary>The drives that have records, ascending; each costs one seek.</summary>
    public static IEnumerable<DriveId> Drives(IKeyValueReader store)
    {
        UInt128 next = 1;  // The key of the applied mark begins with the RUID 0.
        while (TryFindDrive(store, next, out DriveId drive))
        {
            yield return drive;
            if (drive.Value == UInt128.MaxValue) { yield break; }
            next = drive.Value + 1;
        }
    }

    /// <summary>Whether a drive has records.</summary>
    public static bool Has(IKeyValueReader store, DriveId drive) => TryFindDrive(store, drive.Value, out DriveId found) && found == drive;

    private static bool TryFindDrive(IKeyValueReader store, UInt128 from, out DriveId drive)
    {
        drive = default;
        Span<byte> first = stackalloc byte[DriveId.Size];
        new DriveId(from).Write(first);
        using IRecordCursor cursor = store.OpenCursor(Family.Namespace, first, []);
        if (!cursor.MoveNext()) { return false; }
        drive = DriveId.Read(cursor.Key);
        return true;
    }

    /// <summary>The keys of a drive's records: [from, to).</summary>
    public static (byte[] From, byte[] To) RangeOf(DriveId drive)
    {
        byte[] from = new byte[DriveId.Size];
        drive.Write(from);
        if (drive.Value == UInt128.MaxValue) { return (from, []); }
        byte[] to = new byte[DriveId.Size];
        new DriveId(drive.Value + 1).Write(to);
        return (from, to);
    }
}
