using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>Several clients that share a drive, of which primaries are killed.</summary>
public sealed class SharedDriveTests(ITestOutputHelper output)
{
    [Fact]
    public async Task What_several_clients_did_and_saw_can_have_happened_one_after_the_other()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        await using SharedList list = await SharedList.StartAsync(pool, "team");
        for (int round = 0; round < Rounds.Several; round++)
        {
            await list.MoreAsync(60);
            int primary = pool.PrimaryOf("team");
            await pool.KillAsync(primary);
            await list.MoreAsync(60);
            pool.Start(primary);
            await pool.WholeAsync();
        }

        await list.CheckAsync();
        output.WriteLine($"{Rounds.Several} kills, {list.Operations} operations of several clients, {list.Appended} appends answered, 0 lost");
    }
}
