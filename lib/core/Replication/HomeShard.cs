namespace KvFs.Core;

/// <summary>Which shard orders a drive's transactions.</summary>
public static class HomeShard
{
    /// <summary>Shards of a pool unless it was made with another number.</summary>
    public const int DefaultCount = 64;

    /// <summary>XXH64 of the RUID's 16 bytes, modulo the number of shards.</summary>
    public static ShardId Of(DriveId drive, int shardCount)
    {
        Invariant.Check(shardCount is > 0 and <= ushort.MaxValue);
        Span<byte> bytes = stackalloc byte[DriveId.Size];
        drive.Write(bytes);
        return new((ushort)(XxHash64.Compute(bytes) % (ulong)shardCount));
    }
}
