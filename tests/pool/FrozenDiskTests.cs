using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>A node whose disk takes nothing for a while and says nothing either, while the disks of the others work.</summary>
public sealed class FrozenDiskTests(ITestOutputHelper output)
{
    [SmallDiskFact]
    public async Task A_replica_and_a_primary_whose_disks_hang_hold_nobody_up_for_long()
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
                await FreezeAsync("replica", await pool.ReplicaOfAsync("register"));
                await FreezeAsync("primary", pool.PrimaryOf("register"));
            }

            await register.CheckAsync();
            await files.CheckAsync();
            string again = string.Join(", ", register.Failures.Concat(files.Failures));
            output.WriteLine($"{register.Operations} operations on the register, {files.Count} files, 0 lost, tried again: {again}");

            async Task FreezeAsync(string who, int number)
            {
                await files.MoreAsync(20);
                register.TakeLongestPause();
                files.TakeLongestPause();
                disks[number].Freeze();
                try
                {
                    // All of it while the disk hangs: what is waited for does not wait for the disk.
                    await register.MoreAsync(200);
                    await files.MoreAsync(50);
                }
                finally
                {
                    disks[number].Thaw();
                }

                output.WriteLine(
                    $"disk of the {who} frozen: longest pause {register.TakeLongestPause().TotalSeconds:f2} s, between files {files.TakeLongestPause().TotalSeconds:f2} s");
                await pool.WholeAsync();
            }
        }
        finally
        {
            foreach (SmallDisk disk in disks.Values) { disk.Dispose(); }
        }
    }
}
