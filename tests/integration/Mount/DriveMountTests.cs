using System.Diagnostics;
using System.Globalization;
using KvFs.Core;
using KvFs.Mount;
using KvFs.Protocol;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Integration.Tests.Mount;

/// <summary>Mounting and unmounting drives.</summary>
public sealed class DriveMountTests
{
    [Fact]
    public async Task What_was_written_before_an_unmount_is_there_after_the_next_mount()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        string first = drive.Mount.Path;
        await File.WriteAllTextAsync(Path.Combine(first, "f"), "kept");
        await drive.Mount.UnmountAsync(lazy: false);
        Assert.True(drive.Mount.Completion.IsCompletedSuccessfully);
        Assert.Empty(Directory.EnumerateFileSystemEntries(first));

        DriveMount again = await drive.MountAsync(MountedDrive.DriveName, new());
        Assert.Equal("kept", await File.ReadAllTextAsync(Path.Combine(again.Path, "f")));
    }

    [Fact]
    public async Task A_mount_in_use_says_so_and_goes_on()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await using (FileStream open = File.Create(Path.Combine(drive.Mount.Path, "f")))
        {
            FuseMountException busy = await Assert.ThrowsAsync<FuseMountException>(
                async () => await drive.Mount.UnmountAsync(lazy: false));
            Assert.Equal(FuseMountFailure.Busy, busy.Reason);
            await open.WriteAsync("still here"u8.ToArray());
        }

        Assert.Equal("still here", await File.ReadAllTextAsync(Path.Combine(drive.Mount.Path, "f")));
    }

    [Fact]
    public async Task A_lazy_unmount_frees_the_path_at_once_and_ends_with_the_last_open_file()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        string path = drive.Mount.Path;
        await using (FileStream open = File.Create(Path.Combine(path, "f")))
        {
            await drive.Mount.UnmountAsync(lazy: true);
            Assert.Empty(Directory.EnumerateFileSystemEntries(path));
            Assert.False(drive.Mount.Completion.IsCompleted);
            await open.WriteAsync("late"u8.ToArray());
        }

        await drive.Mount.Completion;
        DriveMount again = await drive.MountAsync(MountedDrive.DriveName, new());
        Assert.Equal("late", await File.ReadAllTextAsync(Path.Combine(again.Path, "f")));
    }

    [Fact]
    public async Task What_is_written_after_the_last_store_of_a_mount_that_cannot_end_fails_and_what_came_before_is_there()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        using (SafeFileHandle open = File.OpenHandle(Path.Combine(drive.Mount.Path, "f"), FileMode.Create, FileAccess.Write))
        {
            await drive.Mount.UnmountAsync(lazy: true);
            RandomAccess.Write(open, "early"u8, 0);
            await drive.Mount.StoreLastAsync();
            Assert.Throws<IOException>(() => RandomAccess.Write(open, "later"u8, 5));
        }

        await drive.Mount.Completion;
        DriveMount again = await drive.MountAsync(MountedDrive.DriveName, new());
        Assert.Equal("early", await File.ReadAllTextAsync(Path.Combine(again.Path, "f")));
    }

    [Fact]
    public async Task Somebody_else_s_umount_ends_the_mount_as_well()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await File.WriteAllTextAsync(Path.Combine(drive.Mount.Path, "f"), "kept");
        using Process umount = Process.Start("umount", drive.Mount.Path);
        await umount.WaitForExitAsync();
        Assert.Equal(0, umount.ExitCode);
        await drive.Mount.Completion;
        await drive.Mount.UnmountAsync(lazy: false);
        DriveMount again = await drive.MountAsync(MountedDrive.DriveName, new());
        Assert.Equal("kept", await File.ReadAllTextAsync(Path.Combine(again.Path, "f")));
    }

    [Fact]
    public async Task The_end_does_not_wait_for_those_who_wait_for_a_lock()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        string file = Path.Combine(drive.Mount.Path, "f");
        await File.WriteAllTextAsync(file, "");
        ProcessStartInfo start = new("python3", ["-c", """
            import fcntl, os, sys
            a = open(sys.argv[1]); b = open(sys.argv[1])
            fcntl.flock(a, fcntl.LOCK_EX)
            print('locked', flush=True)
            fcntl.flock(b, fcntl.LOCK_EX)
            """, file])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process waiter = Process.Start(start)!;
        Assert.Equal("locked", await waiter.StandardOutput.ReadLineAsync());
        await drive.Mount.DisposeAsync();
        Assert.True(drive.Mount.Completion.IsCompleted);
        await waiter.WaitForExitAsync();
        Assert.NotEqual(0, waiter.ExitCode);
    }

    [Fact]
    public async Task A_forced_end_waits_for_the_requests_that_are_under_way_and_loses_nothing_that_was_synced()
    {
        const int Rounds = 3;
        await using MountedDrive drive = await MountedDrive.StartAsync();
        DriveMount mount = drive.Mount;
        for (int round = 0; round < Rounds; round++)
        {
            using Process writer = StartSyncingWriter(mount.Path, round);
            Assert.Equal("all write", await writer.StandardOutput.ReadLineAsync());
            await mount.DisposeAsync();
            Assert.True(mount.Completion.IsCompletedSuccessfully);
            string synced = await writer.StandardOutput.ReadToEndAsync();
            await writer.WaitForExitAsync();
            mount = await drive.MountAsync(MountedDrive.DriveName, new());
            string[] files = synced.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(8, files.Length);
            foreach (string[] file in files.Select(line => line.Split(' ')))
            {
                byte[] content = await File.ReadAllBytesAsync(Path.Combine(mount.Path, file[0]));
                int expected = int.Parse(file[1], CultureInfo.InvariantCulture);
                Assert.True(content.Length >= expected);
                Assert.All(content.Take(expected), (value, at) => Assert.Equal((byte)(at / 5000), value));
            }
        }
    }

    [Fact]
    public async Task Several_drives_are_mounted_in_one_process()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        DriveSpec spec = new("second", DriveKind.FileSystem, QuotaBytes: 0, QuotaInodes: 0);
        Assert.Equal(Status.Ok, (await drive.Admin.CreateDriveAsync(spec, default)).Status);
        DriveMount second = await drive.MountAsync("second", new());
        await File.WriteAllTextAsync(Path.Combine(drive.Mount.Path, "f"), "one");
        await File.WriteAllTextAsync(Path.Combine(second.Path, "f"), "two");
        Assert.Equal("one", await File.ReadAllTextAsync(Path.Combine(drive.Mount.Path, "f")));
        Assert.Equal("two", await File.ReadAllTextAsync(Path.Combine(second.Path, "f")));
        string shown = await MountedDrive.RunAsync("/", $"print(subprocess.getoutput('findmnt -n {second.Path}'))");
        Assert.Contains("second", shown, StringComparison.Ordinal);
        Assert.Contains("fuse.kvfs", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_read_only_mount_changes_nothing()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await File.WriteAllTextAsync(Path.Combine(drive.Mount.Path, "f"), "kept");
        await drive.Mount.UnmountAsync(lazy: false);
        DriveMount readOnly = await drive.MountAsync(MountedDrive.DriveName, new() { ReadOnly = true });
        await MountedDrive.RunAsync(readOnly.Path, """
            assert get('f') == b'kept'
            fails(errno.EROFS, put, 'f', b'')
            fails(errno.EROFS, os.mkdir, 'd')
            fails(errno.EROFS, os.unlink, 'f')
            fails(errno.EROFS, os.utime, 'f')
            """);
    }

    [Fact]
    public async Task A_mount_of_a_version_shows_that_version()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        string file = Path.Combine(drive.Mount.Path, "f");
        await File.WriteAllTextAsync(file, "then");
        Reply<SnapshotInfo> snapshot =
            await drive.Admin.CreateSnapshotAsync(MountedDrive.DriveName, "then", default);
        await File.WriteAllTextAsync(file, "now");
        await drive.Mount.UnmountAsync(lazy: false);
        DriveMount then = await drive.MountAsync(
            MountedDrive.DriveName, new() { At = snapshot.Value.At, ReadOnly = true });
        await MountedDrive.RunAsync(then.Path, """
            assert get('f') == b'then' and os.listdir('.') == ['f']
            fails(errno.EROFS, put, 'f', b'')
            fails(errno.ENOENT, os.stat, '.snapshots')
            """);
    }

    [Fact]
    public async Task What_is_changed_behind_the_kernel_s_back_is_seen_once_it_is_recalled()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        await MountedDrive.RunAsync(drive.Mount.Path, """
            put('f', b'old content'); put('gone', b'g')
            fails(errno.ENOENT, os.stat, 'extra')
            fd = os.open('f', os.O_RDONLY); os.fsync(fd)
            assert get('f') == b'old content' and os.stat('gone').st_size == 1
            """);
        using FileStream open = File.OpenRead(Path.Combine(drive.Mount.Path, "f"));
        IDriveSession session = drive.Mount.Client.Session;
        NodeInfo file = (await session.LookupAsync(VNodeId.Root, "f"u8, CowNumber.Head)).Value;
        FileCommit commit = new() { Node = file.Id, ModifyTime = new(1), MinSize = 20 };
        commit.Inline.Append("new content"u8);
        commit.Runs.Add(new(0, 11, SliceKind.Inline, default, 0));
        Assert.Equal(Status.Ok, await session.CommitAsync([commit], new List<NodeInfo>()));
        Assert.Equal(
            Status.Ok, (await session.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "gone"u8 })).Status);
        CreateRequest extra = new() { Parent = VNodeId.Root, Name = "extra"u8, Kind = VNodeKind.File, Mode = 0x1A4 };
        Assert.Equal(Status.Ok, (await session.CreateAsync(extra)).Status);

        await drive.Mount.Client.InvalidateAsync();
        await MountedDrive.RunAsync(drive.Mount.Path, """
            assert get('f') == b'new content' + b'\0' * 9
            assert sorted(os.listdir('.')) == ['extra', 'f'] and os.stat('extra').st_size == 0
            fails(errno.ENOENT, os.stat, 'gone')
            """);
    }

    [Fact]
    public async Task A_full_quota_is_told_in_time_and_space_that_is_freed_is_there_again()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        DriveSpec spec = new("small", DriveKind.FileSystem, QuotaBytes: 64 << 20, QuotaInodes: 20);
        Assert.Equal(Status.Ok, (await drive.Admin.CreateDriveAsync(spec, default)).Status);
        DriveMount small = await drive.MountAsync("small", new());
        await MountedDrive.RunAsync(small.Path, """
            s = os.statvfs('.')
            assert s.f_blocks * s.f_frsize == 64 << 20 and s.f_namemax == 255 and s.f_files == 20
            put('f', b'x' * (8 << 20))
            s = os.statvfs('.')
            assert s.f_bfree * s.f_frsize <= 56 << 20
            fd = os.open('g', os.O_WRONLY | os.O_CREAT)
            written = 0
            try:
                while True: written += os.write(fd, b'y' * (1 << 20))
            except OSError as e:
                assert e.errno == errno.ENOSPC
            os.fsync(fd)
            assert 48 << 20 <= written <= 56 << 20 and os.fstat(fd).st_size == written
            os.close(fd); os.unlink('g')
            put('h', b'z' * (40 << 20))
            assert len(get('h')) == 40 << 20
            made = 0
            try:
                while True: put(f'n{made}', b''); made += 1
            except OSError as e:
                assert e.errno == errno.ENOSPC
            assert 15 <= made <= 18
            """);
    }

    [Fact]
    public async Task A_mount_that_fails_leaves_the_session_to_its_owner()
    {
        await using MountedDrive drive = await MountedDrive.StartAsync();
        DriveSpec spec = new("other", DriveKind.FileSystem, QuotaBytes: 0, QuotaInodes: 0);
        Assert.Equal(Status.Ok, (await drive.Admin.CreateDriveAsync(spec, default)).Status);
        await using IDriveSession session =
            (await drive.Admin.OpenSessionAsync("other", SessionAccess.Alone, default)).Value;
        FuseMountException failed = Assert.Throws<FuseMountException>(
            () => DriveMount.Start(session, Path.Combine(drive.DataPath, "missing"), new()));
        Assert.Equal(FuseMountFailure.MountpointMissing, failed.Reason);
        Assert.Equal(Status.Ok, (await session.GetAsync(VNodeId.Root, CowNumber.Head)).Status);
    }

    /// <summary>Eight threads write and sync a file each, until an error; then it says how much of each was synced.</summary>
    private static Process StartSyncingWriter(string folder, int round) => Process.Start(new ProcessStartInfo(
        "python3",
        ["-c", """
            import os, sys, threading
            names = [f'{sys.argv[1]}-{i}' for i in range(8)]
            synced = dict.fromkeys(names, 0)
            begun = threading.Barrier(9)
            def write(name):
                fd = os.open(name, os.O_WRONLY | os.O_CREAT)
                begun.wait()
                try:
                    for value in range(1 << 20):
                        os.write(fd, bytes([value % 256]) * 5000)
                        os.fsync(fd)
                        synced[name] += 5000
                except OSError:
                    pass
            threads = [threading.Thread(target=write, args=(n,)) for n in names]
            for t in threads: t.start()
            begun.wait()
            print('all write', flush=True)
            for t in threads: t.join()
            for n in names: print(n, synced[n])
            """, $"{round}"])
    {
        WorkingDirectory = folder,
        RedirectStandardOutput = true,
    })!;
}
