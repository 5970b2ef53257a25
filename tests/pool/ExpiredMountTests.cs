using KvFs.Client;
using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>A shared mount that stood still for longer than the lease of its session: what was open there is lost, and all else goes on, without
/// anybody mounting it again.</summary>
public sealed class ExpiredMountTests(ITestOutputHelper output)
{
    /// <summary>Holds a lock, a file and a directory, stores something, and later says what becomes of all that, and of what it opens then.</summary>
    private const string Holder = """
        import errno, fcntl, os, sys
        root = sys.argv[1]
        path = lambda name: os.path.join(root, name)
        def said(what, act):
            try: print(what, act())
            except OSError as e: print(what, errno.errorcode[e.errno])
        held = os.open(path('held'), os.O_RDWR | os.O_CREAT)
        fcntl.lockf(held, fcntl.LOCK_EX)
        os.write(held, b'before')
        with open(path('synced'), 'wb') as synced:
            synced.write(bytes(range(256)) * 1000)
            synced.flush()
            os.fsync(synced.fileno())
        folder = os.open(root, os.O_RDONLY)
        os.rename(path('synced'), path('renamed'))
        print('ready')
        sys.stdin.readline()
        for time in range(2):
            said('write', lambda: os.pwrite(held, b'late', 0))
            said('read', lambda: os.pread(held, 100, 0))
            said('sync', lambda: os.fsync(held))
            said('cut', lambda: os.ftruncate(held, 0))
            said('lock', lambda: fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB))
            said('list', lambda: os.listdir(folder))
        said('names', lambda: sorted(os.listdir(root)))
        said('content', lambda: open(path('held')).read())
        said('synced', lambda: open(path('renamed'), 'rb').read() == bytes(range(256)) * 1000)
        said('locked', lambda: fcntl.lockf(os.open(path('held'), os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB))
        said('space', lambda: os.statvfs(root).f_bsize)
        said('made', lambda: os.mkdir(path('made')))
        new = os.open(path('made/new'), os.O_RDWR | os.O_CREAT)
        said('written', lambda: os.write(new, b'x' * 300000))
        said('stored', lambda: os.fsync(new))
        said('closed', lambda: os.close(held))
        said('again', lambda: open(path('held')).read())
        print('over')
        """;

    /// <summary>Takes the lock when it is free, and changes what the other one knows.</summary>
    private const string Heir = """
        import fcntl, os, sys
        root = sys.argv[1]
        fd = os.open(os.path.join(root, 'held'), os.O_RDWR)
        fcntl.lockf(fd, fcntl.LOCK_EX)
        os.pwrite(fd, b'meanwhile', 0)
        os.mkdir(os.path.join(root, 'other'))
        print('granted')
        sys.stdin.read()
        """;

    /// <summary>Stores something, and later says what becomes of what it does.</summary>
    private const string Owner = """
        import errno, os, sys
        path = os.path.join(sys.argv[1], 'file')
        with open(path, 'wb') as synced:
            synced.write(b'synced')
            synced.flush()
            os.fsync(synced.fileno())
        print('ready')
        sys.stdin.readline()
        for act in (lambda: open(path).read(), lambda: os.stat(path), lambda: open(path + '2', 'w'), lambda: os.listdir(sys.argv[1])):
            try: print(act())
            except OSError as e: print(errno.errorcode[e.errno])
        print('over')
        """;

    [Fact]
    public async Task A_shared_mount_goes_on_by_itself_after_its_session_has_expired_and_only_what_was_open_is_lost()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        for (int round = 0; round < Rounds.Few; round++)
        {
            // Every other time its primary is gone, too, when it is back.
            await RunAsync(pool, $"plain{round}", losesPrimary: false);
            await RunAsync(pool, $"moved{round}", losesPrimary: true);
        }
    }

    [Fact]
    public async Task A_mount_that_had_its_drive_alone_stays_lost_says_what_to_do_and_can_be_unmounted()
    {
        const string Drive = "alone";
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        await using PoolMount mount = await PoolMount.StartAsync(pool, Drive, isShared: false);
        using MountProgram owner = MountProgram.Python(Owner, mount.Path);
        await owner.SaysAsync("ready");
        await mount.FreezeAsync();

        // Another one has the drive for itself as soon as the session has expired, and gives it back.
        await using (DriveClient heir = new((await Sessions.OpenAsync(pool, Drive, CancellationToken.None))!, new(), TimeProvider.System))
        {
            await Files.WriteAsync(heir, "meanwhile", [1]);
            Assert.Equal("synced"u8.ToArray(), await Files.ReadAsync(heir, "file"));
        }

        await mount.ThawAsync();
        owner.Say("go on");
        await owner.SaysAsync("over");
        await owner.EndAsync();
        Assert.Equal(["ready", "EIO", "EIO", "EIO", "EIO", "over"], owner.Lines);
        await PoolWorld.UntilAsync(
            () => Task.FromResult(mount.Log.Contains($"kvfs umount {mount.Path}", StringComparison.Ordinal) ? mount : null), () => $"nothing is said:\n{mount.Log}");
        await mount.UnmountAsync();
        Assert.Empty(Directory.EnumerateFileSystemEntries(mount.Path));
    }

    private async Task RunAsync(PoolProcesses pool, string drive, bool losesPrimary)
    {
        await using PoolMount apart = await PoolMount.StartAsync(pool, drive, isShared: true);
        await using PoolMount here = await PoolMount.StartAsync(pool, drive, isShared: true);
        using MountProgram holder = MountProgram.Python(Holder, apart.Path);
        await holder.SaysAsync("ready");
        using MountProgram heir = MountProgram.Python(Heir, here.Path);
        await apart.FreezeAsync();
        await heir.SaysAsync("granted");
        int primary = pool.PrimaryOf(drive);
        if (losesPrimary)
        {
            await pool.KillAsync(primary);
            await pool.NoPrimaryAsync(primary);
        }

        await apart.ThawAsync();
        holder.Say("go on");
        await holder.SaysAsync("over");
        await holder.EndAsync();
        output.WriteLine(string.Join('\n', holder.Lines));
        string[] lost = ["write EIO", "read EIO", "sync EIO", "cut EIO", "lock EIO", "list EIO"];
        Assert.Equal(
            [
                "ready", .. lost, .. lost, "names ['held', 'other', 'renamed']", "content meanwhile", "synced True", "locked EAGAIN", "space 4096",
                "made None", "written 300000", "stored None", "closed None", "again meanwhile", "over",
            ],
            holder.Lines);
        Assert.Equal("meanwhile", await File.ReadAllTextAsync(Path.Combine(here.Path, "held")));
        Assert.Equal(300_000, new FileInfo(Path.Combine(here.Path, "made", "new")).Length);
        Assert.Contains("1 open files and their locks are lost", apart.Log, StringComparison.Ordinal);
        await heir.EndAsync();
        if (losesPrimary)
        {
            pool.Start(primary);
            await pool.WholeAsync();
        }
    }
}
