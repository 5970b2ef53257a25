using System.Diagnostics;
using KvFs.Core;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>What people do to a pool on purpose, while it is used.</summary>
public sealed class MaintenanceTests(ITestOutputHelper output)
{
    [Fact]
    public async Task All_nodes_are_restarted_one_after_the_other_and_nothing_is_lost()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        await using RegisterUse register = await RegisterUse.StartAsync(pool, "register");
        await using FileWriter files = await FileWriter.StartAsync(pool, "files");
        for (int round = 0; round < Rounds.Few; round++)
        {
            for (int number = 1; number <= 3; number++)
            {
                await register.MoreAsync(20);
                register.TakeLongestPause();
                Assert.Equal(0, await pool.StopAsync(number));
                await register.MoreAsync(20);
                await files.MoreAsync(5);
                pool.Start(number);
                await pool.WholeAsync();
                output.WriteLine($"node {number}: longest pause {register.TakeLongestPause().TotalSeconds:f2} s");
            }
        }

        await register.CheckAsync();
        await files.CheckAsync();
        output.WriteLine($"{register.Operations} operations on the register, {files.Count} files, 0 lost");

        // Nobody had to try again: what could not be done at once waited.
        Assert.Empty(register.Failures.Concat(files.Failures));
    }

    [Fact]
    public async Task A_node_is_added_and_another_is_drained_and_removed_while_both_are_used()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3, new() { Later = 1 });
        await using RegisterUse register = await RegisterUse.StartAsync(pool, "register");
        await using FileWriter files = await FileWriter.StartAsync(pool, "files");
        await files.MoreAsync(20);
        register.TakeLongestPause();
        pool.Start(4);
        await pool.MapThatAsync(static map => Has(map, 4), "the new node gets nothing");
        await pool.WholeAsync();

        // The one that serves: all of it goes to others first.
        int drained = pool.PrimaryOf("register");
        await RunAsync("pool", "drain", $"n{drained}", "--authority", pool.AuthorityName);
        await pool.MapThatAsync(map => !Has(map, drained), "the node that is drained keeps copies");
        await pool.WholeAsync();
        await RunAsync("pool", "remove", $"n{drained}", "--yes", "--authority", pool.AuthorityName);
        Assert.Equal(0, await pool.StopAsync(drained));
        await register.MoreAsync(50);
        await files.MoreAsync(10);
        await pool.WholeAsync();
        string again = string.Join(", ", register.Failures.Concat(files.Failures));
        output.WriteLine($"longest pause {register.TakeLongestPause().TotalSeconds:f2} s, tried again: {again}");
        await register.CheckAsync();
        await files.CheckAsync();
    }

    private static bool Has(PoolMap map, int number) => map.Shards.Any(
        shard => shard.InSync.Any(copy => PoolProcesses.NumberOf(map, copy.Node) == number)
            || shard.Learners.Any(node => PoolProcesses.NumberOf(map, node) == number));

    private static async Task RunAsync(params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(PoolProcesses.Program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        Task<string> said = process.StandardOutput.ReadToEndAsync();
        string error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', arguments)}: {process.ExitCode}\n{await said}{error}");
    }
}
