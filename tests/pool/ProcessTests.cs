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

    [Fact]
    public async Task Nothing_that_was_synced_is_lost_when_primaries_are_killed()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        DriveClient client = await OpenAsync(pool);
        using CancellationTokenSource enough = new();
        SyncedFiles synced = new();
        Task writing = Task.Run(() => synced.WriteAsync(client, enough.Token));
        List<double> pauses = [];
        for (int round = 0; round < Rounds.Several; round++)
        {
            // Amid the writes of a client that notices nothing but a pause.
            await synced.MoreAsync(20);
            int primary = pool.PrimaryOf("drive");
            long killed = TimeProvider.System.GetTimestamp();
            await pool.KillAsync(primary);
            pauses.Add(TimeProvider.System.GetElapsedTime(killed, await synced.FirstBegunAfterAsync(killed)).TotalSeconds);
            pool.Start(primary);
            await pool.WholeAsync();
        }

        await enough.CancelAsync();
        await writing;
        await client.DisposeAsync();
        DriveClient other = await OpenAsync(pool);
        for (int at = 0; at < synced.Count; at++) { Assert.Equal(SyncedFiles.ContentOf(at), await Files.ReadAsync(other, SyncedFiles.NameOf(at))); }
        await other.DisposeAsync();
        pauses.Sort();
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{Rounds.Several} kills, {synced.Count} files, 0 lost; first write begun after a kill was answered {pauses[0]:f2} to {pauses[^1]:f2} s after it, median {pauses[pauses.Count / 2]:f2} s, 99 of 100 {pauses[(int)Math.Ceiling(0.99 * pauses.Count) - 1]:f2} s"));
    }

    [Fact]
    public async Task All_processes_killed_at_once_come_back_with_all_that_was_synced_and_their_client_goes_on()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        await using DriveClient client = await OpenAsync(pool);
        for (int at = 0; at < 20; at++) { await Files.WriteAsync(client, $"f{at}", Files.Bytes(at * 20_000, at)); }
        for (int number = 1; number <= 3; number++) { await pool.KillAsync(number); }
        Task writing = Files.WriteAsync(client, "f20", Files.Bytes(400_000, 20));
        for (int number = 1; number <= 3; number++) { pool.Start(number); }
        await writing;
        for (int at = 0; at <= 20; at++) { Assert.Equal(Files.Bytes(at * 20_000, at), await Files.ReadAsync(client, $"f{at}")); }
        await pool.WholeAsync();
    }

    [Fact]
    public async Task A_node_that_is_stopped_politely_hands_over_first()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        int primary = pool.PrimaryOf("drive");
        Assert.Equal(0, await pool.StopAsync(primary));
        PoolMap map = (await pool.MapAsync())!;
        Assert.DoesNotContain(map.Shards, shard => map.Find(shard.Primary)!.Name == $"n{primary}");
        DriveClient client = await OpenAsync(pool);
        await Files.WriteAsync(client, "f", Files.Bytes(1000, 1));
        await client.DisposeAsync();
        pool.Start(primary);
        await pool.WholeAsync();
    }

    private static async Task<DriveClient> OpenAsync(PoolProcesses pool) =>
        new((await Sessions.OpenAsync(pool, "drive", s_none))!, new(), TimeProvider.System);
}
