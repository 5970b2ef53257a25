using KvFs.Core;
using KvFs.Integration.Tests.Drives;
using KvFs.Mount;
using KvFs.Protocol;

namespace KvFs.Integration.Tests.Mount;

/// <summary>One drive, mounted twice: what a program was answered on one mount, all see on the other.</summary>
public sealed class SharedMountTests(MountedDrive drive) : IClassFixture<MountedDrive>, IAsyncLifetime
{
    private static int s_drives;

    private readonly string name = $"team{Interlocked.Increment(ref s_drives)}";
    private DriveMount one = null!;
    private DriveMount other = null!;

    public async Task InitializeAsync()
    {
        Assert.Equal(Status.Ok, (await drive.Admin.CreateDriveAsync(new(name, DriveKind.FileSystem, 0, 0), default)).Status);
        one = await drive.MountAsync(name, new(), shared: true);
        other = await drive.MountAsync(name, new(), shared: true);
    }

    public async Task DisposeAsync()
    {
        await one.DisposeAsync();
        await other.DisposeAsync();
        Assert.Empty(drive.Faults);
    }

    [Fact]
    public Task Names_and_attributes_are_seen_at_once() => RunAsync("""
        for i in range(30):
            put(f'{a}/f{i}', b'x' * i)
            assert os.stat(f'{b}/f{i}').st_size == i
            assert sorted(os.listdir(b)) == sorted(os.listdir(a))
            os.chmod(f'{b}/f{i}', 0o600 + i % 8)
            assert os.stat(f'{a}/f{i}').st_mode & 0o777 == 0o600 + i % 8
            os.utime(f'{a}/f{i}', (i, i))
            assert os.stat(f'{b}/f{i}').st_mtime == i
            os.rename(f'{b}/f{i}', f'{b}/g{i}')
            fails(errno.ENOENT, os.stat, f'{a}/f{i}')
            os.symlink(f'g{i}', f'{a}/s{i}')
            assert get(f'{b}/s{i}') == b'x' * i
            os.setxattr(f'{a}/g{i}', 'user.n', str(i).encode())
            assert os.getxattr(f'{b}/g{i}', 'user.n') == str(i).encode()
            os.link(f'{b}/g{i}', f'{b}/h{i}')
            assert os.stat(f'{a}/g{i}').st_nlink == 2
            os.mkdir(f'{a}/d{i}')
            fails(errno.EEXIST, os.mkdir, f'{b}/d{i}')
            os.rmdir(f'{b}/d{i}')
            fails(errno.ENOENT, os.rmdir, f'{a}/d{i}')
            for name in (f'g{i}', f's{i}', f'h{i}'): os.unlink(f'{b}/{name}')
            assert not os.path.exists(f'{a}/g{i}')
        """);

    [Fact]
    public Task Bytes_are_seen_at_once_by_who_has_the_file_open() => RunAsync("""
        import random
        random.seed(5)
        fds = [os.open(f'{m}/f', os.O_RDWR | os.O_CREAT) for m in (a, b)]
        model = bytearray()
        for step in range(300):
            w = random.randrange(2)
            kind = random.randrange(10)
            if kind == 0:
                size = random.randrange(len(model) + 1000)
                os.ftruncate(fds[w], size)
                model[size:] = b''
                model.extend(bytes(size - len(model)))
            else:
                length = random.choice((1, 100, 5000, 70000))
                offset = random.randrange(len(model) + 500)
                data = random.randbytes(length)
                assert os.pwrite(fds[w], data, offset) == length
                model.extend(bytes(max(0, offset + length - len(model))))
                model[offset:offset + length] = data
            assert os.fstat(fds[1 - w]).st_size == len(model)
            assert os.lseek(fds[1 - w], 0, os.SEEK_END) == len(model)
            at = random.randrange(len(model) + 1)
            for fd in fds: assert os.pread(fd, 40000, at) == model[at:at + 40000], step
        assert get(f'{a}/f') == model and get(f'{b}/f') == model
        """);

    [Fact]
    public Task Lines_that_programs_on_both_append_are_all_there_and_whole() => RunAsync("""
        program = '''
        import os, sys
        fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for i in range(100): os.write(fd, f"{sys.argv[2]} {i} {'x' * (i * 37 % 500)}\\n".encode())
        '''
        writers = [subprocess.Popen([sys.executable, '-c', program, f'{m}/log', str(n)]) for n, m in enumerate((a, b, a, b))]
        for w in writers: assert w.wait() == 0
        lines = get(f'{b}/log').decode().splitlines()
        assert len(lines) == 400
        for n in range(4):
            own = [line.split(' ') for line in lines if line.startswith(f'{n} ')]
            assert [int(line[1]) for line in own] == list(range(100))
            assert all(len(line[2]) == int(line[1]) * 37 % 500 for line in own)
        """);

    [Fact]
    public Task A_file_that_both_make_at_the_same_time_is_one_that_both_have_open() => RunAsync("""
        program = '''
        import os, sys
        sys.stdin.readline()
        for i in range(300): os.write(os.open(f"{sys.argv[1]}/n{i}", os.O_WRONLY | os.O_APPEND | os.O_CREAT), b'x')
        '''
        makers = [subprocess.Popen([sys.executable, '-c', program, m], stdin=subprocess.PIPE) for m in (a, b, a, b)]
        for m in makers:
            m.stdin.write(b'now\n')
            m.stdin.flush()
        for m in makers: assert m.wait() == 0
        for i in range(300): assert get(f'{a}/n{i}') == b'xxxx'
        """);

    [Fact]
    public Task Locks_exclude_programs_on_the_other_mount() => RunAsync("""
        put(f'{a}/n', b'0')
        program = '''
        import fcntl, os, sys
        fd = os.open(sys.argv[1], os.O_RDWR)
        for i in range(60):
            (fcntl.lockf if i % 2 else fcntl.flock)(fd, fcntl.LOCK_EX)
            fcntl.lockf(fd, fcntl.LOCK_EX)
            os.pwrite(fd, str(int(os.pread(fd, 20, 0)) + 1).encode(), 0)
            fcntl.lockf(fd, fcntl.LOCK_UN)
            fcntl.flock(fd, fcntl.LOCK_UN)
        '''
        writers = [subprocess.Popen([sys.executable, '-c', program, f'{m}/n']) for m in (a, b, a, b)]
        for w in writers: assert w.wait() == 0
        assert get(f'{a}/n') == b'240'
        """);

    [Fact]
    public Task A_file_is_mapped_and_msync_brings_it_over() => RunAsync("""
        put(f'{a}/f', b'a' * 10000)
        fd = os.open(f'{a}/f', os.O_RDWR)
        try:
            m = mmap.mmap(fd, 10000)
        except OSError as e:
            # Before Linux 6.6 what is not cached cannot be mapped to be shared.
            assert e.errno == errno.ENODEV and tuple(map(int, os.uname().release.split('.')[:2])) < (6, 6)
            sys.exit()
        m[5000:5004] = b'mmap'
        m.flush()
        assert get(f'{b}/f')[4999:5005] == b'ammapa'
        private = mmap.mmap(os.open(f'{b}/f', os.O_RDONLY), 10000, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
        assert private[5000:5004] == b'mmap'
        m[0:1] = b'z'
        m.close()
        os.close(fd)
        assert get(f'{b}/f')[0:1] == b'z'
        """);

    [Fact]
    public Task What_is_removed_on_one_mount_is_there_for_who_has_it_open_on_the_other() => RunAsync("""
        put(f'{a}/f', b'kept')
        fd = os.open(f'{b}/f', os.O_RDWR)
        os.unlink(f'{a}/f')
        assert os.pread(fd, 10, 0) == b'kept' and os.fstat(fd).st_nlink == 0
        assert os.pwrite(fd, b'more', 4) == 4 and os.pread(fd, 10, 0) == b'keptmore'
        put(f'{a}/f', b'another')
        assert os.pread(fd, 10, 0) == b'keptmore' and get(f'{b}/f') == b'another'
        os.close(fd)
        put(f'{b}/g', b'old')
        fd = os.open(f'{a}/g', os.O_RDONLY)
        put(f'{b}/h', b'new')
        os.rename(f'{b}/h', f'{b}/g')
        assert os.pread(fd, 10, 0) == b'old' and get(f'{a}/g') == b'new'
        """);

    [Fact]
    public async Task Writers_of_one_sqlite_database_on_both_mounts_lose_nothing()
    {
        const int Rows = 40;
        RealProgram.Run(one.Path, "sqlite3", "-batch", "rows.db", "create table rows(writer integer, number integer);");
        await Task.WhenAll(new[] { one, other }.Select((mount, writer) => Task.Run(() => RealProgram.Run(
            mount.Path,
            "sqlite3",
            "-batch",
            "-cmd",
            ".timeout 60000",
            "rows.db",
            string.Concat(Enumerable.Range(0, Rows).Select(row => $"insert into rows values({writer}, {row});\n"))))));
        string counted = RealProgram.Run(
            other.Path, "sqlite3", "-batch", "rows.db", "select writer, count(distinct number) from rows group by writer order by writer; pragma integrity_check;");
        Assert.Equal($"0|{Rows}\n1|{Rows}\nok\n", counted);
    }

    [Fact]
    public async Task A_mount_that_caches_is_not_let_in_beside_them()
    {
        Assert.Equal(Status.InUse, (await drive.Admin.OpenSessionAsync(name, SessionAccess.Alone, default)).Status);
        Assert.Equal(Status.InUse, (await drive.Admin.OpenSessionAsync(name, SessionAccess.ReadOnly, default)).Status);
        DriveMount third = await drive.MountAsync(name, new() { ReadOnly = true }, shared: true);
        await File.WriteAllTextAsync($"{one.Path}/f", "seen");
        Assert.Equal("seen", await File.ReadAllTextAsync($"{third.Path}/f"));
        await Assert.ThrowsAsync<IOException>(() => File.WriteAllTextAsync($"{third.Path}/g", "x"));
    }

    /// <remarks>With it the kernel believes its own sizes and times: what others write it would not see. Source: docs/design.md,
    /// section 8.</remarks>
    [Fact]
    public async Task Only_a_mount_that_has_its_drive_alone_gets_the_kernel_s_writeback_cache()
    {
        DriveMount third = await drive.MountAsync(name, new() { WritebackCache = true }, shared: true);
        Assert.False(third.Negotiated.Has(FuseInitFlags.WritebackCache));
        await RunAsync($"put('{third.Path}/f', b'at once'); assert get(f'{{a}}/f') == get(f'{{b}}/f') == b'at once'");

        DriveSpec spec = new("alone", DriveKind.FileSystem, QuotaBytes: 0, QuotaInodes: 0);
        Assert.Equal(Status.Ok, (await drive.Admin.CreateDriveAsync(spec, default)).Status);
        DriveMount alone = await drive.MountAsync("alone", new() { WritebackCache = true });
        Assert.True(alone.Negotiated.Has(FuseInitFlags.WritebackCache));
        await MountedDrive.RunAsync(alone.Path, "put('f', b'a' * 100_000); os.truncate('f', 50_000); assert get('f') == b'a' * 50_000");
        await alone.UnmountAsync(lazy: false);
        DriveMount reader = await drive.MountAsync("alone", new() { WritebackCache = true, ReadOnly = true });
        Assert.False(reader.Negotiated.Has(FuseInitFlags.WritebackCache));
        Assert.Equal(50_000, new FileInfo(Path.Combine(reader.Path, "f")).Length);
    }

    private Task<string> RunAsync(string program) => MountedDrive.RunAsync("/", $"a, b = '{one.Path}', '{other.Path}'\n{program}");
}
