namespace KvFs.Core;

/// <summary>Which shard orders a drive's transactions.</summary>
public static class HomeShard
{
    /// <summary>Shards of a pool unless it was made with another number.</summary>
    public const int DefaultCount = 64;

    /// <summary>Where a new drive of a name is made in a pool of several nodes: XXH64 of the name's UTF-8 bytes, modulo the number of
    /// shards. Its RUID is drawn so that this is its home shard: two that want the same name meet at one primary, and who looks
    /// for a name knows whom to ask first. A clone lives with its origin instead.</summary>
    public static ShardId OfName(string name, int shardCount)
    {
        ArgumentNullException.ThrowIfNull(name);
        Invariant.Check(shardCount is > 0 and <= ushort.MaxValue);
        return new((ushort)(XxHash64.Compute(System.Text.Encoding.UTF8.GetBytes(name)) % (ulong)shardCount));
    }

    /// <summary>XXH64 of the RUID's 16 bytes, modulo the number of shards.</summary>
    public static ShardId Of(DriveId drive, int shardCount)
    {
        Invariant.Check(shardCount is > 0 and <= ushort.MaxValue);
        Span<byte> bytes = stackalloc byte[DriveId.Size];
        drive.Write(bytes);
        return new((ushort)(XxHash64.Compute(bytes) % (ulong)shardCount));
    }
}
