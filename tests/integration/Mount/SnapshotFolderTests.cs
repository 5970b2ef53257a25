using KvFs.Core;

namespace KvFs.Integration.Tests.Mount;

/// <summary>The folder <c>.snapshots</c> of a mounted drive.</summary>
public sealed class SnapshotFolderTests
{
    [Fact]
    public async Task A_snapshot_shows_the_drive_as_it_was()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await RunAsync(drive, """
            put('f', b'before'); os.mkdir('d'); put('d/g', b'g' * 200_000); os.symlink('f', 'l')
            os.setxattr('f', 'user.a', b'1')
            """);
        await SnapshotAsync(drive, "one");
        await RunAsync(drive, """
            put('f', b'after!!'); os.unlink('d/g'); os.rmdir('d'); os.unlink('l'); put('new', b'')
            os.setxattr('f', 'user.a', b'2')
            s = '.snapshots/one/'
            assert get(s + 'f') == b'before' and get(s + 'd/g') == b'g' * 200_000 and os.readlink(s + 'l') == 'f'
            assert os.getxattr(s + 'f', 'user.a') == b'1'
            assert sorted(os.listdir(s)) == ['d', 'f', 'l']
            assert os.stat(s + 'f').st_ino != os.stat('f').st_ino
            assert os.stat(s).st_ino != os.stat('.').st_ino
            assert {e.name: e.inode() for e in os.scandir(s)} == {n: os.lstat(s + n).st_ino for n in 'dfl'}
            assert os.stat(s + '..').st_ino == os.stat('.snapshots').st_ino
            fd = os.open(s + 'd/g', os.O_RDONLY)
            assert os.lseek(fd, 0, os.SEEK_HOLE) == 200_000
            """);
    }

    [Fact]
    public async Task The_folder_is_found_by_name_and_lists_the_snapshots_but_is_not_listed()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await SnapshotAsync(drive, "b");
        await SnapshotAsync(drive, "a");
        await RunAsync(drive, """
            assert '.snapshots' not in os.listdir('.')
            assert sorted(os.listdir('.snapshots')) == ['a', 'b']
            s = os.stat('.snapshots')
            assert stat.S_ISDIR(s.st_mode) and s.st_nlink == 4
            fails(errno.ENOENT, os.stat, '.snapshots/c')
            os.mkdir('d')
            fails(errno.ENOENT, os.stat, 'd/.snapshots')
            """);
    }

    [Fact]
    public async Task The_root_lists_the_folder_if_it_is_told_to()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await drive.Mount.UnmountAsync(lazy: false);
        KvFs.Mount.DriveMount mount = await drive.MountAsync(MountedDrive.DriveName, new() { ListSnapshotFolder = true });
        await MountedDrive.RunAsync(mount.Path, """
            put('f', b'')
            assert sorted(os.listdir('.')) == ['.snapshots', 'f']
            assert sorted(e.name for e in os.scandir('.') if e.is_dir()) == ['.snapshots']
            """);
    }

    [Fact]
    public async Task Nothing_in_it_can_be_changed()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await RunAsync(drive, "put('f', b'1'); os.mkdir('d')");
        await SnapshotAsync(drive, "one");
        await RunAsync(drive, """
            s = '.snapshots/one/'
            fails(errno.EROFS, put, s + 'f', b'2')
            fails(errno.EROFS, put, s + 'new', b'2')
            fails(errno.EROFS, os.mkdir, s + 'e')
            fails(errno.EROFS, os.rmdir, s + 'd')
            fails(errno.EROFS, os.unlink, s + 'f')
            fails(errno.EROFS, os.rename, s + 'f', s + 'g')
            fails(errno.EROFS, os.rename, 'f', s + 'g')
            fails(errno.EROFS, os.chmod, s + 'f', 0o600)
            fails(errno.EROFS, os.utime, s + 'f')
            fails(errno.EROFS, os.truncate, s + 'f', 0)
            fails(errno.EROFS, os.setxattr, s + 'f', 'user.a', b'')
            fails(errno.EROFS, os.symlink, 'x', s + 'y')
            fails(errno.EXDEV, os.link, s + 'f', 'g')
            fails(errno.EROFS, os.mkdir, '.snapshots/two')
            fails(errno.EROFS, os.rmdir, '.snapshots/one')
            fails(errno.EROFS, os.rmdir, '.snapshots')
            fails(errno.EROFS, os.rename, '.snapshots', 'x')
            fails(errno.EROFS, os.rename, 'd', '.snapshots')
            fails(errno.EEXIST, os.mkdir, '.snapshots')
            assert get(s + 'f') == b'1'
            """);
    }

    [Fact]
    public async Task A_file_comes_back_out_of_a_snapshot_without_copying_bytes()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await RunAsync(drive, "put('f', os.urandom(4 << 20)); put('sum', str(hash(1)).encode())");
        await SnapshotAsync(drive, "one");
        KvFs.Protocol.NodeActivity before = drive.Node.GetActivity();
        Assert.True(before.BytesWritten >= 4 << 20);
        await RunAsync(drive, """
            put('f', b'')
            source = os.open('.snapshots/one/f', os.O_RDONLY)
            target = os.open('f', os.O_RDWR)
            while os.copy_file_range(source, target, 64 << 20) > 0: pass
            os.fsync(target)
            assert get('f') == get('.snapshots/one/f')
            """);
        KvFs.Protocol.NodeActivity after = drive.Node.GetActivity();
        Assert.Equal((before.BlocksWritten, before.BytesWritten), (after.BlocksWritten, after.BytesWritten));
    }

    /// <remarks>The map is another process's, here and below: whoever serves a mount and touches a map of it waits for himself, sooner or
    /// later.</remarks>
    [Fact]
    public async Task A_snapshot_has_what_was_written_through_a_map_until_then()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await MountedDrive.RunAsync(
            drive.Mount.Path,
            """
            put('f', b'a' * 8192)
            m = mmap.mmap(os.open('f', os.O_RDWR), 8192)
            m[5000] = ord('b')
            pause()
            m[5000] = ord('c')
            """,
            () => SnapshotAsync(drive, "one"));
        await RunAsync(drive, "assert get('.snapshots/one/f') == b'a' * 5000 + b'b' + b'a' * 3191");
    }

    /// <remarks>Every second page, so that each needs a request of its own: more than the kernel sends at a time. Half of
    /// the files are being written when the snapshot is asked for, half are still dirty.</remarks>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_snapshot_has_the_pages_of_a_map_that_the_kernel_is_just_writing(bool writebackCache)
    {
        const string Sizes = "files, pages, page = 32, 256, 4096\n";
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await drive.Mount.UnmountAsync(lazy: false);
        KvFs.Mount.DriveMount mount = await drive.MountAsync(
            MountedDrive.DriveName, new() { WritebackCache = writebackCache });
        await MountedDrive.RunAsync(
            mount.Path,
            Sizes + """
            SYNC_FILE_RANGE_WRITE, maps = 2, []
            for i in range(files):
                fd = os.open(f'f{i}', os.O_RDWR | os.O_CREAT)
                os.ftruncate(fd, pages * page)
                maps.append(mmap.mmap(fd, pages * page))
                for at in range(0, pages, 2): maps[i][at * page] = ord('b')
                if i % 2 == 0:
                    assert libc.sync_file_range(fd, ctypes.c_long(0), ctypes.c_long(0), SYNC_FILE_RANGE_WRITE) == 0
            pause()
            """,
            () => SnapshotAsync(drive, "one"));
        await MountedDrive.RunAsync(mount.Path, Sizes + """
            for i in range(files):
                data = get('.snapshots/one/f' + str(i))
                assert len(data) == pages * page
                for at in range(0, pages, 2): assert data[at * page] == ord('b'), (i, at)
            """);
    }

    [Fact]
    public async Task A_snapshot_that_is_deleted_while_it_is_open_is_stale_and_nothing_worse()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await RunAsync(drive, "os.mkdir('d'); put('d/f', b'x' * 100_000)");
        await SnapshotAsync(drive, "one");
        using FileStream open = File.OpenRead(Path.Combine(drive.Mount.Path, ".snapshots/one/d/f"));
        Assert.Equal('x', open.ReadByte());
        Assert.Equal(Status.Ok, await drive.Admin.DeleteSnapshotAsync(MountedDrive.DriveName, "one", default));
        await RunAsync(drive, """
            fails(errno.ENOENT, os.stat, '.snapshots/one')
            fails(errno.ENOENT, os.stat, '.snapshots/one/d/f')
            assert os.listdir('.snapshots') == []
            assert get('d/f') == b'x' * 100_000
            """);
    }

    [Fact]
    public async Task What_a_snapshot_s_name_leads_to_follows_the_snapshot()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await RunAsync(drive, "put('f', b'1')");
        await SnapshotAsync(drive, "now");
        await RunAsync(drive, "assert get('.snapshots/now/f') == b'1'; put('f', b'2')");
        Assert.Equal(Status.Ok, await drive.Admin.DeleteSnapshotAsync(MountedDrive.DriveName, "now", default));
        await SnapshotAsync(drive, "now");
        await RunAsync(drive, "assert get('.snapshots/now/f') == b'2'");
    }

    private static Task<string> RunAsync(MountedDrive drive, string program) =>
        MountedDrive.RunAsync(drive.Mount.Path, program);

    private static async Task SnapshotAsync(MountedDrive drive, string name) => Assert.Equal(
        Status.Ok, (await drive.Admin.CreateSnapshotAsync(MountedDrive.DriveName, name, default)).Status);
}
