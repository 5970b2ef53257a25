using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>Several clients that share a drive, one through a mount, and primaries that are killed.</summary>
public sealed class SharedDriveTests(ITestOutputHelper output)
{
    [Fact]
    public async Task What_several_clients_did_and_saw_can_have_happened_one_after_the_other()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        await using SharedList list = await SharedList.StartAsync(pool, "team");
        await using PoolMount mount = await PoolMount.StartAsync(pool, "team", isShared: true);
        MountProgram member = list.Join(mount);
        for (int round = 0; round < Rounds.Several; round++)
        {
            await Task.WhenAll(list.MoreAsync(60), member.MoreAsync(20));
            int primary = pool.PrimaryOf("team");
            await pool.KillAsync(primary);
            await Task.WhenAll(list.MoreAsync(60), member.MoreAsync(20));
            pool.Start(primary);
            await pool.WholeAsync();
        }

        await list.CheckAsync();
        output.WriteLine($"{Rounds.Several} kills, {list.Operations} operations of several clients, {list.Appended} appends answered, 0 lost");
    }
}
