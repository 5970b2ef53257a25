using KvFs.Client;
using KvFs.Core;
using KvFs.Node;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

/// <summary>Files whose writes are left with a client, when another node comes to serve their drive.</summary>
public sealed class DelegationTests
{
    [Fact]
    public async Task Whoever_is_primary_next_asks_for_what_the_one_before_left_with_somebody()
    {
        await using PoolWorld world = await PoolWorld.StartAsync(3);
        await world.CreateDriveAsync("drive");
        Assert.Equal(Status.Ok, (await world.Admin.ResizeDriveAsync("drive", 64 << 20, 0, CancellationToken.None)).Status);
        await using DriveClient one = await OpenAsync(world);
        await using DriveClient other = await OpenAsync(world);
        for (int round = 0; round < 3; round++)
        {
            PoolMemberNode primary = await world.ServerOfAsync("drive");
            OpenFile file = await Files.CreateAsync(one, $"f{round}");
            byte[] early = Files.Bytes(100_000, round);
            Assert.Equal(Reply.Ok(early.Length), await one.WriteAsync(file, 0, early, default));
            Assert.True(one.DirtyMemory.RentedBuffers > 0);
            int number = world.NumberOf(primary);
            if (round == 1) { await primary.LeaveAsync(); }
            await world.StopAsync(primary);

            // In memory still, or committed where nobody has asked yet: whoever looks sees it.
            // More than was set aside under the primary before.
            byte[] late = Files.Bytes(3_000_000, 10 + round);
            Assert.Equal(Reply.Ok(late.Length), await one.WriteAsync(file, (ulong)early.Length, late, default));
            Assert.Equal((byte[])[.. early, .. late], await Files.ReadAsync(other, $"f{round}"));
            PoolMemberNode next = await world.ServerOfAsync("drive");
            Assert.Equal(0, next.Storage.Host.Find("drive")!.Writes.Count);

            // Both have it open now: neither buffers.
            Assert.Equal(Reply.Ok(late.Length), await one.WriteAsync(file, 0, late, default));
            Assert.Equal((byte[])[.. late, .. late[^early.Length..]], await Files.ReadAsync(other, $"f{round}"));
            Assert.Equal(Status.Ok, await one.CloseAsync(file));
            await world.StartNodeAsync(number);
            await world.WholeAsync();
        }
    }

    private static async Task<DriveClient> OpenAsync(PoolWorld world) => new(
        await PoolWorld.UntilAsync(
            async () => (await world.Admin.OpenSessionAsync("drive", SessionAccess.Shared, CancellationToken.None)).Value, "the drive cannot be opened"),
        new(),
        TimeProvider.System);
}
