namespace KvFs.Integration.Tests.Mount;

/// <summary>Attributes, extended attributes and ACLs on a mounted drive.</summary>
public sealed class MountedAttributeTests(MountedDrive drive) : IClassFixture<MountedDrive>
{
    [Fact]
    public Task Times_are_set_to_the_nanosecond_and_apart_from_each_other() => drive.RunAsync("""
        put('f', b'')
        os.utime('f', ns=(1_234_567_890_123_456_789, 987_654_321))
        s = os.stat('f')
        assert (s.st_atime_ns, s.st_mtime_ns) == (1_234_567_890_123_456_789, 987_654_321)
        os.utime('f', ns=(-1_000_000_001, 5))
        assert os.stat('f').st_atime_ns == -1_000_000_001
        def utimens(path, atime, mtime):
            times = (ctypes.c_long * 4)(*atime, *mtime)
            assert libc.utimensat(-100, path.encode(), times, 0) == 0
        NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
        ctime = os.stat('f').st_ctime_ns
        utimens('f', (0, OMIT), (77, 7))
        s = os.stat('f')
        assert (s.st_atime_ns, s.st_mtime_ns) == (-1_000_000_001, 77_000_000_007) and s.st_ctime_ns > ctime
        utimens('f', (0, NOW), (0, OMIT))
        s = os.stat('f')
        assert s.st_mtime_ns == 77_000_000_007 and abs(s.st_atime - time.time()) < 60
        """);

    [Fact]
    public Task A_write_moves_modify_and_change_time_and_a_set_time_outlasts_earlier_writes() => drive.RunAsync("""
        fd = os.open('f', os.O_RDWR | os.O_CREAT)
        os.utime('f', ns=(1, 1))
        os.write(fd, b'x')
        assert os.fstat(fd).st_mtime_ns > 1
        os.utime('f', ns=(2, 2))
        os.fsync(fd); os.close(fd)
        assert os.stat('f').st_mtime_ns == 2
        """);

    [Fact]
    public Task The_birth_time_is_told_and_stays() => drive.RunAsync("""
        put('f', b'')
        def birth():
            out = subprocess.check_output(['stat', '-c', '%W', 'f'])
            return int(out)
        born = birth()
        assert abs(born - time.time()) < 60
        os.utime('f', (1, 1)); put('f', b'more')
        assert birth() == born
        """);

    [Fact]
    public Task Reading_moves_an_access_time_that_is_older_than_the_change() => drive.RunAsync("""
        put('f', b'x' * 5000); put('g', b'x' * 5000)
        for name in 'fg':
            os.utime(name, ns=(1_000_000_000, 2_000_000_000))
            ctime = os.stat(name).st_ctime_ns
            flags = os.O_RDONLY | os.O_DIRECT | (os.O_NOATIME if name == 'g' else 0)
            fd = os.open(name, flags)
            page = mmap.mmap(-1, 8192)
            assert os.readv(fd, [page]) == 5000
            os.close(fd)
            s = os.stat(name)
            assert (s.st_atime_ns > 2_000_000_000) == (name == 'f')
            assert s.st_mtime_ns == 2_000_000_000 and s.st_ctime_ns == ctime
        """);

    [Fact]
    public Task Set_id_bits_go_with_a_write_a_truncation_and_a_change_of_owner() => drive.RunAsync("""
        os.chmod('.', 0o777)
        def other_user(call):
            pid = os.fork()
            if pid == 0:
                try:
                    os.setgroups([]); os.setgid(65534); os.setuid(65534); call(); os._exit(0)
                except BaseException as e:
                    print(e, file=sys.stderr); os._exit(1)
            assert os.waitpid(pid, 0)[1] == 0
        def fresh(mode=0o6777):
            put('f', b'12345'); os.chown('f', 0, 0); os.chmod('f', mode)
        def mode(): return stat.S_IMODE(os.stat('f').st_mode)
        def write():
            with open('f', 'r+b') as f: f.write(b'x')
        def open_truncated(): os.close(os.open('f', os.O_WRONLY | os.O_TRUNC))
        for change in (write, lambda: os.truncate('f', 1), open_truncated):
            fresh(); other_user(change)
            assert mode() == 0o777, oct(mode())
        def fallocate():
            fd = os.open('f', os.O_RDWR)
            if libc.fallocate(fd, 0, ctypes.c_int64(0), ctypes.c_int64(100)): raise OSError(ctypes.get_errno(), '')
        def copy():
            os.copy_file_range(os.open('source', os.O_RDONLY), os.open('f', os.O_RDWR), 100, 0, 0)
        put('source', b'x' * 100)
        for change in (fallocate, copy):
            fresh(); other_user(change)
            assert mode() == 0o777, oct(mode())
        fresh(0o6767); other_user(write)
        assert mode() == 0o2767  # Set-group-id without group execution is no privilege.
        fresh(); write()
        assert mode() == 0o6777  # Root may keep them.
        for owner in (1, -1):
            fresh(); os.chown('f', owner, owner)
            assert mode() == 0o777
        """);

    [Fact]
    public Task Rights_are_checked_for_others() => drive.RunAsync("""
        put('secret', b's'); os.chmod('secret', 0o600); os.mkdir('closed', 0o700)
        os.chmod('.', 0o755)
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([]); os.setgid(65534); os.setuid(65534)
                fails(errno.EACCES, open, 'secret')
                fails(errno.EACCES, os.listdir, 'closed')
                fails(errno.EACCES, put, 'new', b'')
                fails(errno.EPERM, os.chmod, 'secret', 0o666)
                os._exit(0)
            except BaseException as e:
                print(e, file=sys.stderr); os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        """);

    [Fact]
    public Task The_umask_counts_unless_the_directory_has_a_default_acl() => drive.RunAsync("""
        os.umask(0o027)
        put('f', b''); os.mkdir('d')
        assert stat.S_IMODE(os.stat('f').st_mode) == 0o640 and stat.S_IMODE(os.stat('d').st_mode) == 0o750
        subprocess.check_call(['setfacl', '-d', '-m', 'u::rwx,u:1234:rw,g::rx,o::r', 'd'])
        put('d/f', b''); os.mkdir('d/e')
        acl = subprocess.check_output(['getfacl', '-cn', 'd/f']).decode().split()
        assert acl[:5] == ['user::rw-', 'user:1234:rw-', 'group::r-x', '#effective:r--', 'mask::rw-'], acl
        assert stat.S_IMODE(os.stat('d/f').st_mode) == 0o664
        assert 'default:user:1234:rw-' in subprocess.check_output(['getfacl', '-cn', 'd/e']).decode()
        """);

    [Fact]
    public Task An_acl_grants_and_its_mask_follows_the_mode() => drive.RunAsync("""
        os.chmod('.', 0o755)
        put('f', b'for 1234'); os.chmod('f', 0o600)
        subprocess.check_call(['setfacl', '-m', 'u:1234:r', 'f'])
        assert stat.S_IMODE(os.stat('f').st_mode) == 0o640
        def reads(uid):
            pid = os.fork()
            if pid == 0:
                os.setgroups([]); os.setgid(uid); os.setuid(uid)
                try: get('f'); os._exit(0)
                except PermissionError: os._exit(1)
            return os.waitpid(pid, 0)[1] == 0
        assert reads(1234) and not reads(1235)
        os.chmod('f', 0o600)
        assert not reads(1234)
        subprocess.check_call(['setfacl', '-b', 'f'])
        assert 'user:1234' not in subprocess.check_output(['getfacl', '-cn', 'f']).decode()
        """);

    [Fact]
    public Task A_directory_with_set_group_id_hands_on_its_group() => drive.RunAsync("""
        os.mkdir('d'); os.chown('d', 0, 4321); os.chmod('d', 0o2775)
        put('d/f', b''); os.mkdir('d/e')
        assert os.stat('d/f').st_gid == os.stat('d/e').st_gid == 4321
        assert os.stat('d/e').st_mode & stat.S_ISGID
        """);

    [Fact]
    public Task Extended_attributes_are_set_told_listed_and_removed() => drive.RunAsync("""
        put('f', b'')
        fails(errno.ENODATA, os.getxattr, 'f', 'user.a')
        os.setxattr('f', 'user.a', b'1', os.XATTR_CREATE)
        fails(errno.EEXIST, os.setxattr, 'f', 'user.a', b'2', os.XATTR_CREATE)
        fails(errno.ENODATA, os.setxattr, 'f', 'user.b', b'2', os.XATTR_REPLACE)
        os.setxattr('f', 'user.a', b'22', os.XATTR_REPLACE)
        os.setxattr('f', 'trusted.t', b'')
        os.setxattr('f', 'user.large', b'x' * 65_536)
        assert os.getxattr('f', 'user.a') == b'22' and os.getxattr('f', 'trusted.t') == b''
        assert os.getxattr('f', 'user.large') == b'x' * 65_536
        assert sorted(os.listxattr('f')) == ['trusted.t', 'user.a', 'user.large']
        buffer = ctypes.create_string_buffer(1)
        assert libc.getxattr(b'f', b'user.a', None, 0) == 2
        assert libc.getxattr(b'f', b'user.a', buffer, 1) == -1 and ctypes.get_errno() == errno.ERANGE
        assert libc.listxattr(b'f', None, 0) == len('trusted.t user.a user.large ')
        assert libc.listxattr(b'f', buffer, 1) == -1 and ctypes.get_errno() == errno.ERANGE
        os.removexattr('f', 'user.a')
        fails(errno.ENODATA, os.removexattr, 'f', 'user.a')
        fails(errno.EOPNOTSUPP, os.setxattr, 'f', 'nonsense.a', b'')
        os.symlink('f', 'l')
        fails(errno.EPERM, os.setxattr, 'l', 'user.a', b'', follow_symlinks=False)
        """);

    [Fact]
    public Task What_is_no_file_system_s_business_is_refused() => drive.RunAsync("""
        fd = os.open('f', os.O_RDWR | os.O_CREAT)
        fails(errno.ENOTTY, fcntl.ioctl, fd, 0x12345678, 0)
        assert os.access('f', os.R_OK)
        """);
}
