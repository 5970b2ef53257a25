using System.Globalization;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>Real processes, killed and stopped under load.</summary>
public sealed class ProcessTests(ITestOutputHelper output)
{
    private static readonly CancellationToken s_none = CancellationToken.None;

    /// <summary>Kills; KVFS_ROUNDS for many.</summary>
    private static readonly int s_rounds =
        int.TryParse(Environment.GetEnvironmentVariable("KVFS_ROUNDS"), CultureInfo.InvariantCulture, out int rounds) ? rounds : 3;

    [Fact]
    public async Task Nothing_that_was_synced_is_lost_when_primaries_are_killed()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        List<string> synced = [];
        List<double> pauses = [];
        for (int round = 0; round < s_rounds; round++)
        {
            // Writes until its primary is killed amid a write; what was not answered may be there or not.
            DriveClient client = await OpenAsync(pool);
            int primary = await pool.PrimaryOfAsync("drive");
            using ManualResetEventSlim isBusy = new();
            Task<int> writing = WriteUntilItFailsAsync(client, round, isBusy, synced);
            await Task.Run(isBusy.Wait);
            long killed = TimeProvider.System.GetTimestamp();
            pool.Kill(primary);

            // The next one takes writes, and has all.
            DriveClient next = await OpenAsync(pool);
            await Files.WriteAsync(next, $"after{round}", Files.Bytes(100, round));
            pauses.Add(TimeProvider.System.GetElapsedTime(killed).TotalSeconds);
            Assert.True(await writing > 0);
            await AbandonAsync(client);
            synced.Add($"after{round}");
            foreach (string name in synced) { Assert.NotEmpty(await Files.ReadAsync(next, name)); }
            await next.DisposeAsync();
            pool.Start(primary);
            await pool.WholeAsync();
        }

        pauses.Sort();
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{s_rounds} kills, {synced.Count} files, 0 lost; first write of the successor after {pauses[0]:f2} to {pauses[^1]:f2} s, median {pauses[pauses.Count / 2]:f2} s"));
    }

    [Fact]
    public async Task All_processes_killed_at_once_come_back_with_all_that_was_synced()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        DriveClient client = await OpenAsync(pool);
        for (int at = 0; at < 20; at++) { await Files.WriteAsync(client, $"f{at}", Files.Bytes(at * 20_000, at)); }
        for (int number = 1; number <= 3; number++) { pool.Kill(number); }
        await AbandonAsync(client);
        for (int number = 1; number <= 3; number++) { pool.Start(number); }
        DriveClient next = await OpenAsync(pool);
        for (int at = 0; at < 20; at++) { Assert.Equal(Files.Bytes(at * 20_000, at), await Files.ReadAsync(next, $"f{at}")); }
        await next.DisposeAsync();
        await pool.WholeAsync();
    }

    [Fact]
    public async Task A_node_that_is_stopped_politely_hands_over_first()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        int primary = await pool.PrimaryOfAsync("drive");
        Assert.Equal(0, await pool.StopAsync(primary));
        PoolMap map = (await pool.MapAsync())!;
        Assert.DoesNotContain(map.Shards, shard => map.Find(shard.Primary)!.Name == $"n{primary}");
        DriveClient client = await OpenAsync(pool);
        await Files.WriteAsync(client, "f", Files.Bytes(1000, 1));
        await client.DisposeAsync();
        pool.Start(primary);
        await pool.WholeAsync();
    }

    private static async Task<DriveClient> OpenAsync(PoolProcesses pool)
    {
        while (true)
        {
            Reply<IDriveSession> session = await pool.Admin.OpenSessionAsync("drive", false, s_none);
            if (session.IsOk) { return new(session.Value, new(), TimeProvider.System); }

            // Unknown: its answer was lost with the node; InUse: until that session has expired.
            Assert.Contains(session.Status, new[] { Status.Unknown, Status.InUse, Status.Busy, Status.StaleEpoch, Status.SessionExpired });
        }
    }

    private static async Task<int> WriteUntilItFailsAsync(DriveClient client, int round, ManualResetEventSlim isBusy, List<string> synced)
    {
        for (int at = 0; ; at++)
        {
            string name = $"r{round}-{at}";
            if (!await Files.TryWriteAsync(client, name, Files.Bytes(1 + (at % 50 * 3000), at))) { return at; }
            synced.Add(name);
            if (at == 20) { isBusy.Set(); }
        }
    }

    /// <summary>Its node is gone: that its end fails is no wonder.</summary>
    private static async Task AbandonAsync(DriveClient client) => await client.DisposeAsync();
}
