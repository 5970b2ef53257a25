namespace KvFs.Pool.Tests;

/// <summary>A pool that is away as a whole: programs wait for it, or, where the mount was told how long, get an error; and go on when it is there again.
/// </summary>
public sealed class MountTimeoutTests
{
    /// <summary>Says what each thing that it does comes to, once it is told to begin; at last until it works again.</summary>
    private const string Program = """
        import errno, os, sys, time
        root = sys.argv[1]
        path = lambda name: os.path.join(root, name)
        def act(what):
            try:
                what()
                return 'done'
            except OSError as e: return errno.errorcode[e.errno]
        file = os.open(path('file'), os.O_RDWR | os.O_CREAT)
        print('ready')
        sys.stdin.readline()
        print('stat', act(lambda: os.stat(path('file'))))
        print('write', act(lambda: os.pwrite(file, b'away', 0)))
        print('make', act(lambda: os.mkdir(path('made'))))
        print('waited')
        while (last := act(lambda: os.pwrite(file, b'back', 0))) == 'EIO': time.sleep(0.05)
        print('write', last)
        print('make', act(lambda: os.mkdir(path('other'))))
        print('content', os.pread(file, 10, 0).decode())
        print('over')
        """;

    [Fact]
    public async Task Programs_wait_for_a_pool_that_is_away_unless_the_mount_was_told_how_long()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        await using PoolMount soft = await PoolMount.StartAsync(pool, "soft", isShared: true, more: ["--timeout", "500ms"]);
        await using PoolMount hard = await PoolMount.StartAsync(pool, "hard", isShared: true);
        using MountProgram impatient = MountProgram.Python(Program, soft.Path);
        using MountProgram patient = MountProgram.Python(Program, hard.Path);
        await impatient.SaysAsync("ready");
        await patient.SaysAsync("ready");
        for (int node = 1; node <= 3; node++) { await pool.FreezeAsync(node); }
        impatient.Say("go on");
        patient.Say("go on");
        await impatient.SaysAsync("waited");
        Assert.Equal(["ready", "stat EIO", "write EIO", "make EIO", "waited"], impatient.Lines.Take(5));
        Assert.Equal(["ready"], patient.Lines);
        for (int node = 1; node <= 3; node++) { await pool.ThawAsync(node); }
        await impatient.SaysAsync("over");
        await patient.SaysAsync("over");
        await impatient.EndAsync();
        await patient.EndAsync();
        Assert.Equal(["write done", "make done", "content back", "over"], impatient.Lines[5..]);
        Assert.Equal(
            ["ready", "stat done", "write done", "make done", "waited", "write done", "make done", "content back", "over"], patient.Lines);
    }
}
