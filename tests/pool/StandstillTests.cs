using KvFs.Core;
using KvFs.Protocol;
using Xunit.Abstractions;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Pool.Tests;

/// <summary>A process that stands still for longer than the others wait for it, and goes on as if nothing had been.</summary>
public sealed class StandstillTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Who_stands_still_is_gone_on_without_and_says_nothing_stale_when_it_goes_on()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        await using RegisterUse register = await RegisterUse.StartAsync(pool, "register");
        await using FileWriter files = await FileWriter.StartAsync(pool, "files");
        for (int round = 0; round < Rounds.Few; round++)
        {
            string drive = $"pinned{round}";
            Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new(drive, DriveKind.FileSystem, 0, 0), CancellationToken.None)).Status);
            await register.MoreAsync(50);

            // Nobody renews its session: what comes before it is not to take of its lease.
            PinnedClient pinned = await PinnedClient.OpenAsync(pool, drive);
            int primary = pool.PrimaryOf(drive);
            Assert.Equal(V1.Status.Ok, await pinned.MakeAsync(primary, "before"));
            register.TakeLongestPause();
            await pool.FreezeAsync(primary);
            await pool.NoPrimaryAsync(primary);
            int next = pool.PrimaryOf(drive);
            await pinned.GoOnAtAsync(next);
            Assert.Equal(V1.Status.Ok, await pinned.MakeAsync(next, "meanwhile"));
            await register.MoreAsync(50);
            await files.MoreAsync(5);
            output.WriteLine($"primary stands still: longest pause {register.TakeLongestPause().TotalSeconds:f2} s");

            // Sent to it while it stands still, when others have long gone on: it hears of it as of something new.
            Task<V1.Status> stale = pinned.FindAsync(primary, "meanwhile");
            Task<V1.Status> late = pinned.MakeAsync(primary, "late");
            await pool.ThawAsync(primary);
            V1.Status read = await stale;
            V1.Status write = await late;
            output.WriteLine($"a late read is answered {read}, a late write {write}");
            Assert.NotEqual(V1.Status.NotFound, read);
            Assert.NotEqual(V1.Status.Ok, write);
            await pool.WholeAsync();

            // A replica: nobody waits for it.
            int replica = await pool.ReplicaOfAsync("register");
            register.TakeLongestPause();
            await pool.FreezeAsync(replica);
            await pool.NoPrimaryAsync(replica);
            await register.MoreAsync(50);
            await files.MoreAsync(5);
            output.WriteLine($"replica stands still: longest pause {register.TakeLongestPause().TotalSeconds:f2} s");
            await pool.ThawAsync(replica);
            await pool.WholeAsync();
        }

        await register.CheckAsync();
        await files.CheckAsync();
        output.WriteLine($"{register.Operations} operations on the register, {files.Count} files, 0 lost");
    }
}
