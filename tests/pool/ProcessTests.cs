using System.Runtime.InteropServices;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>Real processes, killed and stopped under load.</summary>
public sealed class ProcessTests(ITestOutputHelper output)
{
    /// <summary>Adds record after record to a file that it keeps open, and makes a file for every fifth; until nobody speaks to it any more. Ends
    /// badly with the first error that it is told.</summary>
    private const string Recorder = """
        import os, select, sys
        log = os.open(sys.argv[1] + '/log', os.O_RDWR | os.O_CREAT | os.O_APPEND)
        number = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            assert os.write(log, number.to_bytes(4, 'little')) == 4
            if number % 5 == 4:
                fd = os.open(f'{sys.argv[1]}/f{number}', os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                size = 1 + number * 997 % 100_000
                assert os.write(fd, bytes([number % 251]) * size) == size
                os.fsync(fd)
                os.close(fd)
                os.fsync(log)
            print(number)
            number += 1
        os.close(log)
        """;

    /// <summary>The longest time without an answer while a node is restarted.</summary>
    private static readonly TimeSpan s_restartPause = TimeSpan.FromMilliseconds(300);

    /// <summary>From the death of a primary to the first write that its successor answers.</summary>
    private static readonly TimeSpan s_takeoverPause = TimeSpan.FromSeconds(3);

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
        List<TimeSpan> pauses = [], restarts = [];
        for (int round = 0; round < Rounds.Several; round++)
        {
            // Amid the writes of a client that notices nothing but a pause.
            await synced.MoreAsync(20);
            int primary = pool.PrimaryOf("drive");
            long killed = TimeProvider.System.GetTimestamp();
            await pool.KillAsync(primary);
            pauses.Add(TimeProvider.System.GetElapsedTime(killed, await synced.FirstBegunAfterAsync(killed)));
            pool.Start(primary);
            await pool.WholeAsync();
            if (Rounds.AreMany) { restarts.Add(await RestartAsync(pool, (round % 3) + 1, synced)); }
        }

        await enough.CancelAsync();
        await writing;
        await client.DisposeAsync();
        DriveClient other = await OpenAsync(pool);
        for (int at = 0; at < synced.Count; at++) { Assert.Equal(SyncedFiles.ContentOf(at), await Files.ReadAsync(other, SyncedFiles.NameOf(at))); }
        await other.DisposeAsync();
        output.WriteLine($"{synced.Count} files, 0 lost");
        Rounds.CheckPauses("kills of a primary, each until the first write begun after it was answered", pauses, s_takeoverPause, output);
        if (Rounds.AreMany) { Rounds.CheckPauses("restarts of a node, in turn, and the longest time without an answer", restarts, s_restartPause, output); }
    }

    [Fact]
    public async Task All_processes_killed_at_once_come_back_with_all_that_was_synced_and_their_clients_and_mounts_go_on()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        await using DriveClient client = await OpenAsync(pool);
        for (int at = 0; at < 20; at++) { await Files.WriteAsync(client, $"f{at}", Files.Bytes(at * 20_000, at)); }
        await using PoolMount alone = await PoolMount.StartAsync(pool, "alone", isShared: false);
        await using PoolMount shared = await PoolMount.StartAsync(pool, "team", isShared: true);
        using MountProgram onAlone = MountProgram.Python(Recorder, alone.Path), onShared = MountProgram.Python(Recorder, shared.Path);
        await Task.WhenAll(onAlone.MoreAsync(20), onShared.MoreAsync(20));
        for (int number = 1; number <= 3; number++) { await pool.KillAsync(number); }
        long killed = TimeProvider.System.GetTimestamp();
        Task writing = Files.WriteAsync(client, "f20", Files.Bytes(400_000, 20));
        for (int number = 1; number <= 3; number++) { pool.Start(number); }
        await writing;
        for (int at = 0; at <= 20; at++) { Assert.Equal(Files.Bytes(at * 20_000, at), await Files.ReadAsync(client, $"f{at}")); }

        // What the kernel and the mount had answered already may be said still; what comes behind that, the pool has answered.
        await Task.WhenAll(onAlone.MoreAsync(50), onShared.MoreAsync(50));
        TimeSpan back = TimeProvider.System.GetElapsedTime(killed);
        foreach ((MountProgram program, PoolMount mount) in ((MountProgram, PoolMount)[])[(onAlone, alone), (onShared, shared)])
        {
            await program.EndAsync();
            Assert.True(mount.Runs, mount.Log);
            CheckRecords(mount.Path, program.Lines.Length);
        }

        await pool.WholeAsync();
        output.WriteLine(
            $"{onAlone.Lines.Length} and {onShared.Lines.Length} records on mounts, no error and none lost; both had gone on {back.TotalSeconds:f2} s after the kill");
    }

    /// <summary>Restarts a node politely; the longest time meanwhile in which no file was done.</summary>
    private static async Task<TimeSpan> RestartAsync(PoolProcesses pool, int node, SyncedFiles synced)
    {
        await synced.MoreAsync(20);
        long began = TimeProvider.System.GetTimestamp();
        Assert.Equal(0, await pool.StopAsync(node));
        pool.Start(node);
        await pool.WholeAsync();
        await synced.MoreAsync(20);
        return synced.LongestPauseSince(began);
    }

    /// <summary>Each record is there once, in order, with its files.</summary>
    private static void CheckRecords(string mount, int count)
    {
        int[] records = MemoryMarshal.Cast<byte, int>(File.ReadAllBytes(Path.Combine(mount, "log"))).ToArray();
        Assert.Equal(Enumerable.Range(0, count), records);
        Assert.Equal((count / 5) + 1, Directory.GetFiles(mount).Length);
        for (int number = 4; number < count; number += 5)
        {
            byte[] expected = new byte[1 + (number * 997 % 100_000)];
            expected.AsSpan().Fill((byte)(number % 251));
            Assert.Equal(expected, File.ReadAllBytes(Path.Combine(mount, $"f{number}")));
        }
    }

    private static async Task<DriveClient> OpenAsync(PoolProcesses pool) =>
        new((await Sessions.OpenAsync(pool, "drive", s_none))!, new(), TimeProvider.System);
}
