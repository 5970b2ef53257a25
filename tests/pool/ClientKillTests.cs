using System.Runtime.InteropServices;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>Clients that are killed while they write to a pool: mounts, and one that uses the library.</summary>
public sealed class ClientKillTests(ITestOutputHelper output)
{
    /// <summary>What a program on a shared mount does: as <see cref="ClientProgram"/>.</summary>
    private const string Locker = """
        import fcntl, os, sys
        held = os.open(sys.argv[1] + '-held', os.O_RDWR | os.O_CREAT)
        assert os.write(held, bytes(2_000_000)) == 2_000_000
        os.unlink(sys.argv[1] + '-held')
        fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
        fcntl.lockf(fd, fcntl.LOCK_EX)
        print('locked')
        number = 0
        while True:
            assert os.pwrite(fd, (number + 1).to_bytes(4, 'little'), number * 4) == 4
            print(number)
            number += 1
        """;

    /// <summary>Wants what others have locked.</summary>
    private const string Waiter = """
        import fcntl, os, sys
        files = [os.open(path, os.O_RDWR) for path in sys.argv[1:]]
        for fd in files:
            try: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError: print('refused')
        for fd in files: fcntl.lockf(fd, fcntl.LOCK_EX)
        print('granted')
        """;

    /// <summary>Has its drive alone, and buffers: what counts is what it synced.</summary>
    private const string Syncer = """
        import os, sys
        number = 0
        while True:
            fd = os.open(f'{sys.argv[1]}/f{number}', os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.write(fd, bytes([number % 251]) * (1 + number * 997 % 100_000))
            os.fsync(fd)
            os.close(fd)
            print(number)
            number += 1
        """;

    private static readonly CancellationToken s_none = CancellationToken.None;

    [Fact]
    public async Task What_they_were_answered_is_there_what_they_held_goes_to_others_and_nobody_else_minds()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        for (int round = 0; round < Rounds.Few; round++) { await KillAsync(pool, $"team{round}", $"alone{round}"); }
    }

    private async Task KillAsync(PoolProcesses pool, string team, string single)
    {
        await using SharedList list = await SharedList.StartAsync(pool, team);
        await using PoolMount other = await PoolMount.StartAsync(pool, team, isShared: true);
        ulong inodes = (await DriveAsync(pool, team)).UsedInodes;
        await using PoolMount shared = await PoolMount.StartAsync(pool, team, isShared: true);
        await using PoolMount alone = await PoolMount.StartAsync(pool, single, isShared: false);
        using MountProgram locker = MountProgram.Python(Locker, Path.Combine(shared.Path, "mount"));
        using MountProgram library = MountProgram.Start(ClientProgram.Program, pool.Addresses, team, "library");
        using MountProgram syncer = MountProgram.Python(Syncer, alone.Path);
        await Task.WhenAll(locker.SaysAsync("locked"), library.SaysAsync("locked"));
        using MountProgram waiter = MountProgram.Python(Waiter, Path.Combine(other.Path, "mount"), Path.Combine(other.Path, "library"));
        await PoolWorld.UntilAsync(
            () => Task.FromResult(waiter.Lines.Length == 2 ? waiter : null), () => $"{waiter}\n{pool.Log}");
        Assert.Equal(["refused", "refused"], waiter.Lines);
        await Task.WhenAll(locker.MoreAsync(20), library.MoreAsync(20), syncer.MoreAsync(20));

        // Amid what they write.
        await Task.WhenAll(shared.KillAsync(), alone.KillAsync(), library.KillAsync());
        long killed = TimeProvider.System.GetTimestamp();
        await locker.EndedAsync();
        await syncer.EndedAsync();
        await waiter.SaysAsync("granted");
        TimeSpan granted = TimeProvider.System.GetElapsedTime(killed);
        await waiter.EndAsync();
        await list.MoreAsync(30);
        CheckNumbers(locker, Path.Combine(other.Path, "mount"));
        CheckNumbers(library, Path.Combine(other.Path, "library"));
        await CheckFilesAsync(pool, single, syncer);

        // What nobody can reach any more goes; the two files that were locked stay.
        await PoolWorld.UntilAsync(
            async () => (await DriveAsync(pool, team)).UsedInodes == inodes + 2 ? pool : null, () => $"orphans stay:\n{pool.Log}");
        output.WriteLine(
            $"{locker.Numbers.Count()} and {library.Numbers.Count()} writes under locks, {syncer.Numbers.Count()} synced files, none lost; locks were granted {granted.TotalSeconds:f2} s after the kill");

        await list.CheckAsync();
        Assert.True((await DriveAsync(pool, team)).UsedBytes < ClientProgram.HeldBytes);
        Assert.True(other.Runs, other.Log);
    }

    private static async Task<DriveInfo> DriveAsync(PoolProcesses pool, string drive) => (await pool.Admin.GetDriveAsync(drive, s_none)).Value;

    /// <summary>All that was said is there; beyond it at most what was not answered any more.</summary>
    private static void CheckNumbers(MountProgram writer, string path)
    {
        int[] answered = [.. writer.Numbers];
        int[] content = MemoryMarshal.Cast<byte, int>(File.ReadAllBytes(path)).ToArray();
        Assert.InRange(content.Length, answered.Length, answered.Length + 1);
        Assert.Equal(Enumerable.Range(1, content.Length), content);
    }

    private static async Task CheckFilesAsync(PoolProcesses pool, string drive, MountProgram writer)
    {
        // It is free once the session of who had it alone has expired.
        await using IDriveSession session = (await Sessions.OpenAsync(pool, drive, s_none))!;
        await using DriveClient client = new(session, new(), TimeProvider.System);
        foreach (int number in writer.Numbers)
        {
            byte[] expected = new byte[1 + (number * 997 % 100_000)];
            expected.AsSpan().Fill((byte)(number % 251));
            Assert.Equal(expected, await Files.ReadAsync(client, $"f{number}"));
        }
    }
}
