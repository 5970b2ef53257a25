namespace KvFs.Integration.Tests.Mount;

/// <summary>Names and directories on a mounted drive.</summary>
public sealed class MountedNameTests(MountedDrive drive) : IClassFixture<MountedDrive>
{
    [Fact]
    public Task A_name_has_255_bytes_of_any_kind_but_two() => drive.RunAsync("""
        for name in (b'n' * 255, bytes(range(1, 47)) + bytes(range(48, 256)), b'\xff\xfe', '日本語'.encode()):
            put(name, name)
            assert get(name) == name
            assert name in os.listdir(b'.')
            os.rename(name, b'other'); os.rename(b'other', name)
            os.unlink(name)
        fails(errno.ENAMETOOLONG, put, b'n' * 256, b'')
        fails(errno.ENAMETOOLONG, os.stat, b'n' * 256)
        fails(errno.ENAMETOOLONG, os.mkdir, b'n' * 256)
        """);

    [Fact]
    public Task Rename_keeps_replaces_exchanges_and_leaves_whiteouts_as_asked() => drive.RunAsync("""
        def rename(old, new, flags):
            if libc.renameat2(-100, old.encode(), -100, new.encode(), flags):
                raise OSError(ctypes.get_errno(), 'renameat2')
        NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
        put('a', b'a'); put('b', b'b'); os.mkdir('d'); put('d/x', b'x')
        fails(errno.EEXIST, rename, 'a', 'b', NOREPLACE)
        rename('a', 'c', NOREPLACE)
        rename('c', 'd', EXCHANGE)
        assert get('d') == b'a' and get('c/x') == b'x'
        fails(errno.ENOENT, rename, 'c', 'missing', EXCHANGE)
        fails(errno.EINVAL, rename, 'c', 'd', NOREPLACE | EXCHANGE)
        rename('b', 'moved', WHITEOUT)
        s = os.lstat('b')
        assert stat.S_ISCHR(s.st_mode) and s.st_rdev == 0 and get('moved') == b'b'
        fails(errno.EINVAL, os.rename, 'c', 'c/below')
        fails(errno.ENOTDIR, os.rename, 'c', 'd')
        fails(errno.EISDIR, os.rename, 'd', 'c')
        os.mkdir('e'); os.mkdir('f')
        os.rename('e', 'f')
        fails(errno.ENOTEMPTY, os.rename, 'f', 'c')
        """);

    [Fact]
    public Task A_directory_that_is_removed_while_it_is_open_still_has_attributes() => drive.RunAsync("""
        os.mkdir('d')
        fd = os.open('d', os.O_RDONLY)
        os.rmdir('d')
        assert stat.S_ISDIR(os.fstat(fd).st_mode) and os.fstat(fd).st_nlink == 0
        assert os.listdir(fd) == []
        fails(errno.ENOENT, os.mkdir, 'x', dir_fd=fd)
        os.close(fd)
        """);

    [Fact]
    public Task A_fifo_that_is_removed_while_it_is_open_still_has_attributes_and_changes_them() => drive.RunAsync("""
        os.mkfifo('p', 0o644)
        fd = os.open('p', os.O_RDWR | os.O_NONBLOCK)
        os.unlink('p')
        os.fchmod(fd, 0o600)
        os.utime(fd, (5, 7))
        found = os.fstat(fd)
        assert stat.S_ISFIFO(found.st_mode) and found.st_mode & 0o777 == 0o600 and found.st_nlink == 0
        assert found.st_mtime == 7
        os.write(fd, b'through')
        assert os.read(fd, 10) == b'through'
        os.close(fd)
        """);

    [Fact]
    public Task Hard_links_are_one_file_with_several_names() => drive.RunAsync("""
        put('a', b'1')
        os.mkdir('d')
        os.link('a', 'd/b')
        a, b = os.stat('a'), os.stat('d/b')
        assert a.st_ino == b.st_ino and a.st_nlink == 2
        put('d/b', b'22')
        assert get('a') == b'22' and os.stat('a').st_size == 2
        os.unlink('a')
        assert os.stat('d/b').st_nlink == 1 and get('d/b') == b'22'
        fails(errno.EPERM, os.link, 'd', 'e')
        fails(errno.EEXIST, os.link, 'd/b', 'd/b')
        """);

    [Fact]
    public Task Symlinks_lead_on_and_keep_targets_of_4095_bytes() => drive.RunAsync("""
        os.symlink('target', 'l')
        assert os.readlink('l') == 'target' and os.lstat('l').st_size == 6
        fails(errno.ENOENT, open, 'l')
        put('target', b't')
        assert get('l') == b't'
        long = 'x' * 4095
        os.symlink(long, 'long')
        assert os.readlink('long') == long
        os.symlink('loop', 'loop')
        fails(errno.ELOOP, open, 'loop')
        """);

    [Fact]
    public Task Devices_pipes_and_sockets_keep_kind_and_number() => drive.RunAsync("""
        os.mkfifo('p', 0o600)
        os.mknod('c', stat.S_IFCHR | 0o600, os.makedev(4095, 1_000_000))
        os.mknod('b', stat.S_IFBLK | 0o600, os.makedev(8, 1))
        os.mknod('s', stat.S_IFSOCK | 0o600)
        os.mknod('f', stat.S_IFREG | 0o640)
        assert stat.S_ISFIFO(os.stat('p').st_mode) and stat.S_ISSOCK(os.stat('s').st_mode)
        c, b = os.stat('c'), os.stat('b')
        assert (os.major(c.st_rdev), os.minor(c.st_rdev)) == (4095, 1_000_000)
        assert stat.S_ISBLK(b.st_mode) and (os.major(b.st_rdev), os.minor(b.st_rdev)) == (8, 1)
        kinds = {e.name: e.inode() for e in os.scandir('.')}
        assert kinds == {n: os.lstat(n).st_ino for n in 'pcbsf'}
        reader = threading.Thread(target=lambda: put('seen', get('p')))
        reader.start(); put('p', b'through'); reader.join()
        assert get('seen') == b'through'
        """);

    [Fact]
    public Task A_directory_counts_its_subdirectories_and_goes_only_when_empty() => drive.RunAsync("""
        os.mkdir('d')
        assert os.stat('d').st_nlink == 2
        os.mkdir('d/e'); put('d/f', b'')
        assert os.stat('d').st_nlink == 3
        assert os.stat('d/e/..').st_ino == os.stat('d').st_ino
        fails(errno.ENOTEMPTY, os.rmdir, 'd')
        fails(errno.ENOTDIR, os.rmdir, 'd/f')
        fails(errno.EISDIR, os.unlink, 'd/e')
        os.rmdir('d/e'); os.unlink('d/f'); os.rmdir('d')
        fails(errno.ENOENT, os.listdir, 'd')
        """);

    [Fact]
    public Task A_removed_directory_that_is_in_use_has_attributes_and_nothing_else() => drive.RunAsync("""
        os.mkdir('d')
        fd, place = os.open('d', os.O_RDONLY), os.open('d', os.O_PATH)
        os.rmdir('d')
        assert os.fstat(fd).st_nlink == 0 and stat.S_ISDIR(os.fstat(place).st_mode)
        assert os.listdir(fd) == []
        fails(errno.ENOENT, os.open, 'f', os.O_CREAT | os.O_WRONLY, dir_fd=fd)
        fails(errno.ENOENT, os.mkdir, 'e', dir_fd=fd)
        fails(errno.ENOENT, os.stat, 'x', dir_fd=fd)
        """);

    [Fact]
    public Task A_listing_has_every_name_once_whatever_comes_and_goes_meanwhile() => drive.RunAsync("""
        stay = {f'stay-{i:05}-{"x" * (i % 50)}' for i in range(4000)}
        for name in stay: os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
        stop = threading.Event()
        def churn():
            i = 0
            while not stop.is_set():
                os.close(os.open(f'come-{i}', os.O_CREAT | os.O_WRONLY))
                if i >= 20: os.unlink(f'come-{i - 20}')
                i += 1
        changer = threading.Thread(target=churn)
        changer.start()
        for _ in range(5):
            seen = [e.name for e in os.scandir('.')]
            assert len(seen) == len(set(seen))
            assert stay <= set(seen)
            for entry in os.scandir('.'):
                if entry.name in stay: assert entry.stat().st_size == 0
        stop.set(); changer.join()
        """);

    [Fact]
    public Task A_listing_goes_on_where_it_was_told_to() => drive.RunAsync("""
        for i in range(300): put(f'f{i}', b'')
        class Entry(ctypes.Structure):
            _fields_ = [('ino', ctypes.c_uint64), ('off', ctypes.c_int64), ('len', ctypes.c_ushort),
                        ('type', ctypes.c_ubyte), ('name', ctypes.c_char * 256)]
        libc.opendir.restype = ctypes.c_void_p
        libc.readdir.restype = ctypes.POINTER(Entry)
        libc.telldir.restype = ctypes.c_long
        libc.readdir.argtypes = libc.telldir.argtypes = libc.rewinddir.argtypes = [ctypes.c_void_p]
        libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
        d = libc.opendir(b'.')
        order = []
        while True:
            at = libc.telldir(d)
            e = libc.readdir(d)
            if not e: break
            order.append((at, e.contents.name))
        assert len(order) == 302 and {n for _, n in order} >= {b'.', b'..'}
        for at, name in order[::37]:
            libc.seekdir(d, at)
            assert libc.readdir(d).contents.name == name
        libc.rewinddir(d)
        assert libc.readdir(d).contents.name == order[0][1]
        """);

    [Fact]
    public Task A_name_that_was_missing_is_found_once_it_is_there() => drive.RunAsync("""
        fails(errno.ENOENT, os.stat, 'f')
        put('f', b'1')
        assert get('f') == b'1'
        os.unlink('f')
        fails(errno.ENOENT, os.stat, 'f')
        put('g', b'2'); os.rename('g', 'f')
        assert get('f') == b'2'
        fails(errno.ENOENT, os.stat, 'g')
        """);
}
