using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

public sealed class SeenReadsTests
{
    private static readonly DriveId s_drive = new(5);

    [Fact]
    public void Only_what_is_large_and_was_not_read_of_late_is_read_once()
    {
        SeenReads seen = new();
        Assert.False(seen.IsFirst(s_drive, 0, SeenReads.LargeBytes - 1));
        Assert.True(seen.IsFirst(s_drive, 0, SeenReads.LargeBytes));
        Assert.False(seen.IsFirst(s_drive, 0, SeenReads.LargeBytes));
        Assert.True(seen.IsFirst(new(6), 0, SeenReads.LargeBytes));
        Assert.True(seen.IsFirst(s_drive, 1 << 20, 1 << 20));
        Assert.False(seen.IsFirst(s_drive, 1 << 20, 1 << 20));
    }

    [Fact]
    public void What_was_read_long_ago_is_forgotten()
    {
        SeenReads seen = new();
        Assert.True(seen.IsFirst(s_drive, 0, 1 << 20));
        for (long at = 1; at <= 1 << 20; at++) { seen.IsFirst(s_drive, at << 20, 1 << 20); }
        Assert.True(seen.IsFirst(s_drive, 0, 1 << 20));
    }
}
