using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>Five nodes, three copies of everything: of which two are gone for a while.</summary>
public sealed class FiveNodesTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_primary_and_its_replica_are_killed_one_after_the_other_and_nothing_is_lost()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(5);
        await using RegisterUse register = await RegisterUse.StartAsync(pool, "register");
        await using FileWriter files = await FileWriter.StartAsync(pool, "files");
        for (int round = 0; round < Rounds.Few; round++)
        {
            await register.MoreAsync(50);
            int primary = pool.PrimaryOf("register");
            register.TakeLongestPause();
            await pool.KillAsync(primary);
            await pool.NoPrimaryAsync(primary);
            await register.MoreAsync(50);
            output.WriteLine($"primary killed: longest pause {register.TakeLongestPause().TotalSeconds:f2} s");

            // With one of three copies away, the last but one.
            int replica = await pool.ReplicaOfAsync("register");
            await pool.KillAsync(replica);
            await pool.NoPrimaryAsync(replica);
            await register.MoreAsync(50);
            await files.MoreAsync(10);
            output.WriteLine($"replica killed: longest pause {register.TakeLongestPause().TotalSeconds:f2} s");
            pool.Start(primary);
            pool.Start(replica);
            await pool.WholeAsync();
        }

        await register.CheckAsync();
        await files.CheckAsync();
        output.WriteLine($"{register.Operations} operations on the register, {files.Count} files, 0 lost");
    }
}
