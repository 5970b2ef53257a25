using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>Several clients that share a drive, one through a mount, and primaries that are killed.</summary>
public sealed class SharedDriveTests(ITestOutputHelper output)
{
    /// <summary>Then another list is begun: each read is kept, so that a long one takes memory with the square of its length.</summary>
    private const int RoundsOfList = 10;

    [Fact]
    public async Task What_several_clients_did_and_saw_can_have_happened_one_after_the_other()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        for (int done = 0; done < Rounds.Several; done += RoundsOfList)
        {
            await RunAsync(pool, $"team{done}", Math.Min(RoundsOfList, Rounds.Several - done));
        }
    }

    private async Task RunAsync(PoolProcesses pool, string drive, int rounds)
    {
        await using SharedList list = await SharedList.StartAsync(pool, drive);
        await using PoolMount mount = await PoolMount.StartAsync(pool, drive, isShared: true);
        MountProgram member = list.Join(mount);
        for (int round = 0; round < rounds; round++)
        {
            await Task.WhenAll(list.MoreAsync(60), member.MoreAsync(20));
            int primary = pool.PrimaryOf(drive);
            await pool.KillAsync(primary);
            await Task.WhenAll(list.MoreAsync(60), member.MoreAsync(20));
            pool.Start(primary);
            await pool.WholeAsync();
        }

        await list.CheckAsync();
        output.WriteLine($"{rounds} kills, {list.Operations} operations of several clients, {list.Appended} appends answered, 0 lost");
    }
}
