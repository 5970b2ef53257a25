using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>A node whose disk is full, while the disks of the others are not.</summary>
public sealed class FullDiskTests(ITestOutputHelper output)
{
    /// <summary>Less than a node needs to accept anything.</summary>
    private const long LeftBytes = 1 << 20;

    [SmallDiskFact]
    public async Task A_replica_and_a_primary_whose_disks_are_full_hold_nobody_up_for_long()
    {
        SortedDictionary<int, SmallDisk> disks = [];
        try
        {
            for (int number = 1; number <= 3; number++) { disks.Add(number, SmallDisk.Create()); }
            await using PoolProcesses pool = await PoolProcesses.StartAsync(3, new() { DataOf = number => Path.Combine(disks[number].Root, "data") });
            await using RegisterUse register = await RegisterUse.StartAsync(pool, "register");
            await using FileWriter files = await FileWriter.StartAsync(pool, "files");
            for (int round = 0; round < Rounds.Few; round++)
            {
                await FillAsync("replica", await pool.ReplicaOfAsync("register"));
                await FillAsync("primary", pool.PrimaryOf("register"));
            }

            await register.CheckAsync();
            await files.CheckAsync();
            output.WriteLine($"{register.Operations} operations on the register, {files.Count} files, 0 lost, tried again: {string.Join(", ", register.Failures.Concat(files.Failures))}");

            async Task FillAsync(string who, int number)
            {
                await files.MoreAsync(20);
                register.TakeLongestPause();
                files.TakeLongestPause();
                disks[number].Fill(LeftBytes);
                await register.MoreAsync(200);
                await files.MoreAsync(50);
                output.WriteLine(
                    $"disk of the {who} full: longest pause {register.TakeLongestPause().TotalSeconds:f2} s, between files {files.TakeLongestPause().TotalSeconds:f2} s");
                disks[number].Empty();
                await pool.WholeAsync();
            }
        }
        finally
        {
            foreach (SmallDisk disk in disks.Values) { disk.Dispose(); }
        }
    }
}
