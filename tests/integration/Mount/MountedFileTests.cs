namespace KvFs.Integration.Tests.Mount;

/// <summary>Open files on a mounted drive.</summary>
public sealed class MountedFileTests(MountedDrive drive) : IClassFixture<MountedDrive>
{
    [Fact]
    public Task Every_byte_that_was_written_is_read_by_a_new_open() => drive.RunAsync("""
        data = os.urandom(5 << 20)
        put('f', data)
        assert get('f') == data
        with open('f', 'r+b') as f:
            f.seek(1 << 20); f.write(b'x' * 100_001)
        expected = data[:1 << 20] + b'x' * 100_001 + data[(1 << 20) + 100_001:]
        assert get('f') == expected
        """);

    [Fact]
    public Task A_deleted_file_lives_until_its_last_descriptor_is_closed() => drive.RunAsync("""
        put('f', b'a' * 100_000)
        fd = os.open('f', os.O_RDWR)
        os.unlink('f')
        assert os.fstat(fd).st_nlink == 0
        os.pwrite(fd, b'b' * 5000, 99_000)
        os.fsync(fd)
        assert os.pread(fd, 200_000, 0) == b'a' * 99_000 + b'b' * 5000
        os.ftruncate(fd, 10)
        os.fchmod(fd, 0o600)
        assert os.fstat(fd).st_size == 10
        fails(errno.ENOENT, os.stat, 'f')
        os.close(fd)
        """);

    [Fact]
    public Task A_file_that_a_rename_replaces_lives_until_it_is_closed() => drive.RunAsync("""
        put('old', b'old'); put('new', b'new')
        fd = os.open('old', os.O_RDONLY)
        os.rename('new', 'old')
        assert os.read(fd, 10) == b'old' and os.fstat(fd).st_nlink == 0
        assert get('old') == b'new'
        """);

    [Fact]
    public Task A_file_spans_16_TiB_and_not_a_byte_more() => drive.RunAsync("""
        end = 16 << 40
        fd = os.open('f', os.O_RDWR | os.O_CREAT)
        os.pwrite(fd, b'last', end - 4)
        assert os.fstat(fd).st_size == end
        fails(errno.EFBIG, os.pwrite, fd, b'x', end)
        fails(errno.EFBIG, os.ftruncate, fd, end + 1)
        fails(errno.EFBIG, os.posix_fallocate, fd, end, 1)
        os.fsync(fd)
        assert os.pread(fd, 100, end - 50) == b'\0' * 46 + b'last'
        assert os.pread(fd, 100, 1 << 43) == b'\0' * 100
        assert os.fstat(fd).st_blocks <= 128
        assert os.lseek(fd, 0, os.SEEK_DATA) >= end - 65536
        """);

    [Fact]
    public Task Data_and_holes_are_found_by_seeking_also_before_they_are_flushed() => drive.RunAsync("""
        fd = os.open('f', os.O_RDWR | os.O_CREAT)
        os.ftruncate(fd, 100 << 20)
        os.pwrite(fd, b'x' * 65536, 10 << 20)
        for flushed in (False, True):
            if flushed: os.fsync(fd)
            assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
            assert os.lseek(fd, 0, os.SEEK_DATA) == 10 << 20
            assert os.lseek(fd, 10 << 20, os.SEEK_HOLE) == (10 << 20) + 65536
            fails(errno.ENXIO, os.lseek, fd, (10 << 20) + 65536, os.SEEK_DATA)
            fails(errno.ENXIO, os.lseek, fd, 100 << 20, os.SEEK_HOLE)
        """);

    [Fact]
    public Task Fallocate_backs_frees_and_zeroes_ranges() => drive.RunAsync("""
        def fallocate(fd, mode, offset, length):
            if libc.fallocate(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)):
                raise OSError(ctypes.get_errno(), 'fallocate')
        KEEP, PUNCH, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
        fd = os.open('f', os.O_RDWR | os.O_CREAT)
        fallocate(fd, 0, 0, 1 << 20)
        s = os.fstat(fd)
        assert s.st_size == 1 << 20 and s.st_blocks * 512 == 1 << 20
        fallocate(fd, KEEP, 1 << 20, 1 << 20)
        s = os.fstat(fd)
        assert s.st_size == 1 << 20 and s.st_blocks * 512 == 2 << 20
        os.pwrite(fd, b'x' * (1 << 20), 0)
        fallocate(fd, PUNCH | KEEP, 4096, 8192)
        assert os.pread(fd, 16384, 0) == b'x' * 4096 + b'\0' * 8192 + b'x' * 4096
        assert os.fstat(fd).st_blocks * 512 == (2 << 20) - 8192
        fallocate(fd, ZERO, 100, 1000)
        assert os.pread(fd, 1200, 0) == b'x' * 100 + b'\0' * 1000 + b'x' * 100
        fallocate(fd, ZERO, (1 << 20) - 10, 20)
        assert os.fstat(fd).st_size == (1 << 20) + 10
        for mode in (COLLAPSE, INSERT):  # The kernel's FUSE does not pass them on.
            fails(errno.EOPNOTSUPP, fallocate, fd, mode, 0, 4096)
        """);

    [Fact]
    public Task Copying_a_range_shares_what_it_can_and_copies_dirty_data() => drive.RunAsync("""
        data = os.urandom(8 << 20)
        put('a', data)
        a, b = os.open('a', os.O_RDONLY), os.open('b', os.O_RDWR | os.O_CREAT)
        done = 0
        while done < len(data):
            n = os.copy_file_range(a, b, len(data) - done, done, done)
            assert n > 0
            done += n
        assert get('b') == data
        assert os.copy_file_range(a, b, 100, len(data) - 7, 0) == 7
        assert os.pread(b, 10, 0) == data[-7:] + data[7:10]
        assert os.copy_file_range(a, b, 100, len(data), 0) == 0
        assert get('a') == data
        """);

    [Fact]
    public async Task Copying_a_range_of_what_is_stored_stores_no_byte_again()
    {
        await using MountedDrive own = await MountedDrive.StartAsync();
        (ulong Blocks, ulong Bytes) written = default;
        await own.RunAsync("""
            data = os.urandom(8 << 20)
            a, b = os.open('a', os.O_RDWR | os.O_CREAT), os.open('b', os.O_RDWR | os.O_CREAT)
            os.write(a, data)
            os.fsync(a)
            pause()
            done = 0
            while done < len(data):
                n = os.copy_file_range(a, b, len(data) - done, done, done)
                assert n > 0
                done += n
            os.fsync(b)
            pause()
            assert get('b') == data
            os.pwrite(b, b'x' * (1 << 20), 0)
            os.fsync(b)
            assert get('a') == data and get('b') == b'x' * (1 << 20) + data[1 << 20:]
            pause()
            """, Written, Copied, Changed);
        Task Written() => Note(8 << 20);
        Task Copied() => Note(0);
        Task Changed() => Note(1 << 20);

        // Eight MiB are stored as they are written; then none; then what was written into the copy.
        Task Note(ulong grown)
        {
            KvFs.Protocol.NodeActivity did = own.Node.GetActivity();
            Assert.Equal(grown, did.BytesWritten - written.Bytes);
            Assert.Equal(grown > 0, did.BlocksWritten > written.Blocks);
            written = (did.BlocksWritten, did.BytesWritten);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public Task A_nameless_file_gets_a_name_unless_it_was_not_to() => drive.RunAsync("""
        os.mkdir('d')
        fd = os.open('d', os.O_TMPFILE | os.O_RDWR, 0o640)
        os.write(fd, b'nameless')
        assert os.listdir('d') == [] and os.fstat(fd).st_nlink == 0
        def name(fd, path):
            FOLLOW = 0x400
            if libc.linkat(-100, f'/proc/self/fd/{fd}'.encode(), -100, path.encode(), FOLLOW):
                raise OSError(ctypes.get_errno(), 'linkat')
        name(fd, 'd/named')
        assert get('d/named') == b'nameless' and os.fstat(fd).st_nlink == 1
        os.close(fd)
        assert get('d/named') == b'nameless'
        fd = os.open('d', os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o640)
        fails(errno.ENOENT, name, fd, 'd/other')
        """);

    [Fact]
    public Task A_shared_map_and_reads_and_writes_see_each_other() => drive.RunAsync("""
        fd = os.open('f', os.O_RDWR | os.O_CREAT)
        os.pwrite(fd, b'a' * 20_000, 0)
        with mmap.mmap(fd, 20_000) as m:
            assert m[:] == b'a' * 20_000
            m[5000:5004] = b'map!'
            assert os.pread(fd, 4, 5000) == b'map!'
            os.pwrite(fd, b'write', 9000)
            assert m[9000:9005] == b'write'
            m[19_999] = 0x7a
            m.flush()
            direct = os.open('f', os.O_RDONLY | os.O_DIRECT)
            page = mmap.mmap(-1, 20_480)
            assert os.readv(direct, [page]) == 20_000
            assert page[5000:5004] == b'map!' and page[9000:9005] == b'write' and page[19_999:20_000] == b'z'
        os.close(fd)
        assert get('f')[5000:5004] == b'map!'
        """);

    [Fact]
    public Task Bytes_behind_the_end_of_a_mapped_file_do_not_appear_when_it_grows() => drive.RunAsync("""
        fd = os.open('f', os.O_RDWR | os.O_CREAT)
        os.pwrite(fd, b'a' * 100, 0)
        with mmap.mmap(fd, 100) as m:
            m[:] = b'b' * 100
        os.ftruncate(fd, 50)
        os.ftruncate(fd, 200)
        assert get('f') == b'b' * 50 + b'\0' * 150
        """);

    [Fact]
    public Task Direct_and_buffered_input_and_output_agree() => drive.RunAsync("""
        page = mmap.mmap(-1, 65_536)
        page[:] = os.urandom(65_536)
        direct = os.open('f', os.O_RDWR | os.O_CREAT | os.O_DIRECT)
        assert os.writev(direct, [page]) == 65_536
        buffered = os.open('f', os.O_RDWR)
        assert os.pread(buffered, 65_536, 0) == page[:]
        os.pwrite(buffered, b'x' * 4096, 8192)
        page[8192:12_288] = b'x' * 4096
        other = mmap.mmap(-1, 65_536)
        assert os.preadv(direct, [other], 0) == 65_536 and other[:] == page[:]
        page[:4096] = b'y' * 4096
        assert os.pwritev(direct, [memoryview(page)[:4096]], 4096) == 4096
        assert os.pread(buffered, 4096, 4096) == b'y' * 4096
        """);

    [Fact]
    public Task Two_who_append_do_not_overwrite_each_other() => drive.RunAsync("""
        program = "import os\nfd = os.open('f', os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n" \
            "for i in range(2000): os.write(fd, b'%s' * 10)"
        writers = [subprocess.Popen([sys.executable, '-c', program % c]) for c in 'ab']
        assert [w.wait() for w in writers] == [0, 0]
        data = get('f')
        assert len(data) == 40_000 and data.count(b'a' * 10) + data.count(b'b' * 10) >= 2000
        assert sorted({data[i:i + 10] for i in range(0, len(data), 10)}) == [b'a' * 10, b'b' * 10]
        """);

    [Fact]
    public Task Every_truncation_cuts_the_data_and_moves_the_times() => drive.RunAsync("""
        def moved(change):
            put('f', b'x' * 10_000)
            os.utime('f', (1, 1))
            before = os.stat('f').st_ctime_ns
            change()
            s = os.stat('f')
            assert s.st_mtime > 1 and s.st_ctime_ns > before
            return s.st_size
        assert moved(lambda: os.truncate('f', 5000)) == 5000 and get('f') == b'x' * 5000
        def cut():
            with open('f', 'r+b') as f: f.truncate(20_000)
        assert moved(cut) == 20_000 and get('f') == b'x' * 10_000 + b'\0' * 10_000
        assert moved(lambda: os.close(os.open('f', os.O_WRONLY | os.O_TRUNC))) == 0 and get('f') == b''
        """);

    [Theory]
    [InlineData("os.O_DSYNC", "0")]
    [InlineData("os.O_SYNC", "0")]
    [InlineData("os.O_DSYNC | os.O_DIRECT", "0")]
    [InlineData("0", "os.RWF_DSYNC")]
    [InlineData("os.O_DIRECT", "os.RWF_DSYNC")]
    public async Task A_synchronous_write_has_left_the_mount_when_it_returns(string openFlags, string writeFlags)
    {
        string folder = drive.NewFolder();
        await MountedDrive.RunAsync(folder, $"""
            page = mmap.mmap(-1, 8192)
            page[:] = b's' * 8192
            fd = os.open('f', os.O_WRONLY | os.O_CREAT | {openFlags})
            os.pwritev(fd, [page], 0, {writeFlags})
            """);
        await using MountedDrive image = await drive.OpenCrashImageAsync();
        string copy = Path.Combine(image.Mount.Path, Path.GetFileName(folder), "f");
        Assert.Equal(new string('s', 8192), await File.ReadAllTextAsync(copy));
    }

    [Fact]
    public async Task What_was_fsynced_is_there_after_the_process_died()
    {
        string folder = drive.NewFolder();
        await MountedDrive.RunAsync(folder, """
            fd = os.open('synced', os.O_WRONLY | os.O_CREAT)
            os.write(fd, b'1' * 300_000)
            os.fsync(fd)
            """);
        await using MountedDrive image = await drive.OpenCrashImageAsync();
        string copy = Path.Combine(image.Mount.Path, Path.GetFileName(folder), "synced");
        Assert.Equal(new string('1', 300_000), await File.ReadAllTextAsync(copy));
    }
}
