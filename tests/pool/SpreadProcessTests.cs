using System.Diagnostics;
using KvFs.Core;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>A drive whose blocks are spread over the shards of a pool of processes, some of which die.</summary>
public sealed class SpreadProcessTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    public async Task A_key_primary_is_killed_while_files_are_written_and_nothing_is_lost(int nodes)
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(nodes);
        await using FileWriter files = await FileWriter.StartAsync(pool, "files", spread: 100);
        for (int round = 0; round < Rounds.Few; round++)
        {
            await files.MoreAsync(20);
            int killed = KeyPrimaryOf(pool, "files");
            files.TakeLongestPause();
            await pool.KillAsync(killed);
            await pool.NoPrimaryAsync(killed);
            await files.MoreAsync(20);
            output.WriteLine($"key primary {killed} killed: longest pause {files.TakeLongestPause().TotalSeconds:f2} s");
            pool.Start(killed);
            await pool.WholeAsync();
            await files.MoreAsync(5);

            // And the one that orders the transactions.
            int primary = pool.PrimaryOf("files");
            files.TakeLongestPause();
            await pool.KillAsync(primary);
            await pool.NoPrimaryAsync(primary);
            await files.MoreAsync(20);
            output.WriteLine($"collection primary {primary} killed: longest pause {files.TakeLongestPause().TotalSeconds:f2} s");
            pool.Start(primary);
            await pool.WholeAsync();
        }

        await files.CheckAsync();
        output.WriteLine($"{files.Count} files, 0 lost");
    }

    [Fact]
    public async Task A_node_with_blocks_of_a_drive_that_lives_elsewhere_is_drained_and_nothing_is_lost()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(4, new() { Later = 1 });
        await using FileWriter files = await FileWriter.StartAsync(pool, "files", spread: 100);
        await files.MoreAsync(40);
        pool.Start(5);
        await pool.WholeAsync();
        int drained = KeyPrimaryOf(pool, "files");
        using (Process drain = Process.Start(PoolProcesses.Program, ["pool", "drain", $"n{drained}", "--authority", pool.AuthorityName]))
        {
            await drain.WaitForExitAsync();
            Assert.Equal(0, drain.ExitCode);
        }

        await pool.MapThatAsync(map => !HasCopies(map, drained), "the node that is drained keeps copies");
        await pool.WholeAsync();
        await pool.KillAsync(drained);
        await files.MoreAsync(20);
        await files.CheckAsync();
        output.WriteLine($"{files.Count} files, 0 lost");
    }

    private static bool HasCopies(PoolMap map, int number) => map.Shards.Any(
        shard => shard.InSync.Select(static copy => copy.Node).Concat(shard.Learners).Any(node => PoolProcesses.NumberOf(map, node) == number));

    /// <summary>A node that is primary of blocks of a drive, and does not order its transactions; rather one that has no part in that.</summary>
    private static int KeyPrimaryOf(PoolProcesses pool, string drive)
    {
        PoolMap map = pool.Map!;
        ShardEntry home = map[HomeShard.OfName(drive, map.Shards.Length)];
        return PoolProcesses.NumberOf(map, map.Shards.Select(static shard => shard.Primary).Where(node => node != home.Primary)
            .OrderBy(node => home.IsInSync(node)).First());
    }
}
