using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;

namespace KvFs.Node.Tests;

/// <summary>What sessions set aside for data that is still in memory, against one disk.</summary>
public sealed class ReservationTests : QuietNodeTests
{
    private const ulong MiB = 1 << 20;

    [Fact]
    public async Task Reservations_of_all_drives_together_are_no_more_than_the_disk_has()
    {
        IDriveSession one = await OpenAsync("one");
        IDriveSession other = await OpenAsync("other");
        Node.Disk.FreeBytes = SpaceGuard.ReserveBytes + ((1L << 30) / 100) + (10L * (long)MiB);
        Assert.Equal(Status.Ok, await one.ReserveAsync(new(6 * MiB, 0)));
        Assert.Equal(Status.NoSpace, await one.ReserveAsync(new(6 * MiB, 0)));
        Assert.Equal(Status.NoSpace, await other.ReserveAsync(new(6 * MiB, 0)));
        Assert.Equal(Status.Ok, Node.Blocks.Space.GetFree(out long free));
        Assert.InRange(free, 3L * (long)MiB, 4L * (long)MiB);

        one.Unreserve(new(3 * MiB, 0));
        Assert.Equal(Status.Ok, await other.ReserveAsync(new(6 * MiB, 0)));
        await one.DisposeAsync();
        Assert.Equal(Status.Ok, await other.ReserveAsync(new(3 * MiB, 0)));
        Assert.Equal(Status.NoSpace, await other.ReserveAsync(new(ulong.MaxValue, 0)));
        await other.DisposeAsync();
        Assert.Equal(Status.Ok, Node.Blocks.Space.GetFree(out free));
        Assert.InRange(free, 9L * (long)MiB, 10L * (long)MiB);
    }
}
