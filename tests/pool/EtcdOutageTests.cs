using KvFs.Authority.Tests.Support;
using KvFs.Core;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>A pool whose map is in an etcd of three members, which are killed.</summary>
public sealed class EtcdOutageTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Primaries_go_on_while_etcd_is_away_and_are_replaced_once_it_is_back()
    {
        EtcdServer[] members = await EtcdServer.StartClusterAsync(3);
        try
        {
            await using PoolProcesses pool = await PoolProcesses.StartAsync(
                3, new() { Etcd = [.. members.Select(static member => member.Endpoint)] });
            await using RegisterUse register = await RegisterUse.StartAsync(pool, "register");
            await using FileWriter files = await FileWriter.StartAsync(pool, "files");
            for (int round = 0; round < Rounds.Few; round++)
            {
                // One member of three is nobody's concern.
                await members[round % 3].KillAsync();
                await ReplaceAsync(pool, register, "one member away");
                await members[round % 3].StartAsync();

                // All of them: nothing changes hands, and nobody waits.
                PoolMap before = await pool.WholeAsync();
                foreach (EtcdServer member in members) { await member.KillAsync(); }
                register.TakeLongestPause();
                await register.MoreAsync(200);
                await files.MoreAsync(20);
                output.WriteLine($"all members away: longest pause {register.TakeLongestPause().TotalSeconds:f2} s");
                await Task.WhenAll(members.Select(static member => member.StartAsync()));
                PoolMap after = await PoolWorld.UntilAsync(pool.MapAsync, "etcd does not come back");
                Assert.Equal(before.Shards.Select(static shard => shard.Primary), after.Shards.Select(static shard => shard.Primary));
                await ReplaceAsync(pool, register, "back");
            }

            await register.CheckAsync();
            await files.CheckAsync();
            output.WriteLine($"{register.Operations} operations on the register, {files.Count} files, 0 lost");
        }
        finally
        {
            foreach (EtcdServer member in members) { await member.DisposeAsync(); }
        }
    }

    private async Task ReplaceAsync(PoolProcesses pool, RegisterUse register, string when)
    {
        await register.MoreAsync(20);
        int primary = pool.PrimaryOf("register");
        register.TakeLongestPause();
        await pool.KillAsync(primary);
        await pool.NoPrimaryAsync(primary);
        await register.MoreAsync(20);
        output.WriteLine($"primary killed, {when}: longest pause {register.TakeLongestPause().TotalSeconds:f2} s");
        pool.Start(primary);
        await pool.WholeAsync();
    }
}
