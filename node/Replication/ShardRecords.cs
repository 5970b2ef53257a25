using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Replication;

/// <summary>The records of all drives of one shard, among those of the others.</summary>
internal static class ShardRecords
{
    /// <summary>The drives of a shard that have records, ascending; each costs one seek.</summary>
    public static List<DriveId> DrivesOf(IKeyValueReader store, ShardId shard, int shardCount)
    {
        List<DriveId> drives = [];
        Span<byte> from = stackalloc byte[DriveId.Size];
        UInt128 next = 1;  // The key of the applied mark begins with the RUID 0.
        while (true)
        {
            new DriveId(next).Write(from);
            using IRecordCursor cursor = store.OpenCursor(Family.Namespace, from, []);
            if (!cursor.MoveNext()) { return drives; }
            DriveId drive = DriveId.Read(cursor.Key);
            if (HomeShard.Of(drive, shardCount) == shard) { drives.Add(drive); }
            if (drive.Value == UInt128.MaxValue) { return drives; }
            next = drive.Value + 1;
        }
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
