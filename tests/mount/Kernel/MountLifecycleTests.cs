using System.Diagnostics;

namespace KvFs.Mount.Tests.Kernel;

[Collection(KernelCollection.Name)]
public sealed class MountLifecycleTests
{
    [Fact]
    public async Task Unmounting_ends_the_workers_and_tells_the_handler()
    {
        using MountedFileSystem mounted = new();
        File.WriteAllText(mounted["a"], "hello");
        mounted.Connection.Unmount();
        FuseEnd end = await mounted.Ended;
        Assert.Equal(FuseEndReason.Unmounted, end.Reason);
        Assert.Same(end, mounted.Files.End);
        Assert.Empty(Directory.GetFiles(mounted.Root));
        mounted.Connection.Unmount();
        Assert.Empty(mounted.Faults);
    }

    [Fact]
    public async Task An_unmount_by_somebody_else_ends_the_workers()
    {
        using MountedFileSystem mounted = new();
        Assert.Equal(0, await MountedFileSystem.Run("fusermount3", "-u", mounted.Root));
        Assert.Equal(FuseEndReason.Unmounted, (await mounted.Ended).Reason);
        mounted.Connection.Unmount();
    }

    [Fact]
    public void The_kernel_grants_what_was_asked_for()
    {
        using MountedFileSystem mounted = new();
        FuseNegotiated negotiated = mounted.Connection.Negotiated;
        Assert.True(negotiated.KernelMinor >= FuseHandshake.OldestMinor);
        Assert.Equal(1 << 20, negotiated.MaxRequestBytes);
        Assert.True(negotiated.Has(FuseInitFlags.ParallelDirops | FuseInitFlags.MaxPages));
        Assert.True(negotiated.Has(FuseInitFlags.DoReaddirplus | FuseInitFlags.ReaddirplusAuto));
        Assert.True(negotiated.Has(FuseInitFlags.PosixLocks | FuseInitFlags.FlockLocks | FuseInitFlags.AutoInvalData));
        Assert.False(negotiated.Has(FuseInitFlags.WritebackCache));
        Assert.False(negotiated.Has(FuseInitFlags.ExplicitInvalData));
        Assert.Same(mounted.Connection, mounted.Files.Connection);
    }

    [Fact]
    public void The_mount_table_shows_source_and_type()
    {
        using MountedFileSystem mounted = new(
            change: options => options with { FsName = "pool/drive", Subtype = "kvtest" });
        MountEntry? entry = MountTable.FindTop(mounted.Root);
        Assert.Equal(("pool/drive", "fuse.kvtest"), (entry?.Source, entry?.Type));
    }

    [Fact]
    public void The_set_user_id_program_mounts_as_well()
    {
        using MountedFileSystem mounted = new(change: options => options with { Method = FuseMountMethod.Fusermount });
        File.WriteAllText(mounted["a"], "hello");
        Assert.Equal("hello", File.ReadAllText(mounted["a"]));
        using FileStream open = File.OpenRead(mounted["a"]);
        FuseMountException busy = Assert.Throws<FuseMountException>(() => mounted.Connection.Unmount());
        Assert.Equal(FuseMountFailure.Busy, busy.Reason);
        open.Dispose();
        mounted.Connection.Unmount();
    }

    [Fact]
    public async Task An_open_file_makes_it_busy_but_not_for_a_lazy_unmount()
    {
        using MountedFileSystem mounted = new();
        File.WriteAllText(mounted["a"], "still here");
        using FileStream open = File.OpenRead(mounted["a"]);
        FuseMountException busy = Assert.Throws<FuseMountException>(() => mounted.Connection.Unmount());
        Assert.Equal((FuseMountFailure.Busy, Errno.EBUSY), (busy.Reason, busy.ErrorNumber));
        Assert.Contains(mounted.Root, busy.Message, StringComparison.Ordinal);

        mounted.Connection.Unmount(FuseUnmountMode.Lazy);
        Assert.Empty(Directory.GetFiles(mounted.Root));
        using StreamReader reader = new(open);
        Assert.Equal("still here", await reader.ReadToEndAsync());
        Assert.False(mounted.Connection.Ended.IsCompleted);
        reader.Dispose();
        Assert.Equal(FuseEndReason.Unmounted, (await mounted.Ended).Reason);
    }

    [Fact]
    public void Disposing_ends_a_mount_that_is_in_use()
    {
        MountedFileSystem mounted = new();
        File.WriteAllText(mounted["a"], "in use");
        using FileStream open = File.OpenRead(mounted["a"]);
        mounted.Dispose();
        Assert.NotNull(mounted.Files.End);
        Assert.Throws<IOException>(() => open.ReadByte());
    }

    [Theory]
    [InlineData(FuseMountMethod.Automatic)]
    [InlineData(FuseMountMethod.Fusermount)]
    public async Task A_forced_unmount_fails_whoever_waits(FuseMountMethod method)
    {
        using MountedFileSystem mounted = new(change: options => options with { Method = method });
        int descriptor = NativeFile.Open(mounted["locked"], 0x42, 0x1B6);
        Assert.Equal(0, NativeFile.Flock(descriptor, NativeFile.LockExclusive));
        using Process waiter = Process.Start("flock", [mounted["locked"], "true"]);
        await mounted.Files.Locks.NextBlocked();

        mounted.Connection.Unmount(FuseUnmountMode.Force);
        await waiter.WaitForExitAsync().WaitAsync(MountedFileSystem.Patience);
        Assert.NotEqual(0, waiter.ExitCode);
        Assert.Contains((await mounted.Ended).Reason, new[] { FuseEndReason.Aborted, FuseEndReason.Unmounted });
        _ = NativeFile.Close(descriptor);
        Assert.Null(MountTable.FindTop(mounted.Root));
    }

    [Fact]
    public void A_path_that_is_a_mount_already_is_refused()
    {
        using MountedFileSystem mounted = new();
        FuseMountException taken = Refusal(mounted.Root);
        Assert.Equal(FuseMountFailure.Busy, taken.Reason);
        Assert.Contains(mounted.Root, taken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_mount_that_covers_ours_is_not_unmounted_by_mistake()
    {
        using MountedFileSystem mounted = new();
        using FuseDevice other = Fusermount.Mount(mounted.Root, MountedFileSystem.Options);
        FuseMountException covered = Assert.Throws<FuseMountException>(() => mounted.Connection.Unmount());
        Assert.Equal(FuseMountFailure.Busy, covered.Reason);
        Assert.Contains("covered", covered.Message, StringComparison.Ordinal);
        Assert.Equal(0, await MountedFileSystem.Run("fusermount3", "-u", "-z", mounted.Root));
        mounted.Connection.Unmount();
    }

    [Fact]
    public void Bad_mountpoints_are_refused_with_advice()
    {
        string directory = MountedFileSystem.NewDirectory();
        string missing = Path.Combine(directory, "missing");
        FuseMountException failure = Refusal(missing);
        Assert.Equal(FuseMountFailure.MountpointMissing, failure.Reason);
        Assert.Contains($"mkdir -p {missing}", failure.Message, StringComparison.Ordinal);

        string file = Path.Combine(directory, "file");
        File.WriteAllText(file, "");
        Assert.Equal(FuseMountFailure.NotDirectory, Refusal(file).Reason);
        Assert.Equal(FuseMountFailure.NotDirectory, Refusal(Path.Combine(file, "below")).Reason);
        Assert.Equal(FuseMountFailure.NotEmpty, Refusal(directory).Reason);
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task A_dead_mount_is_named_with_the_command_that_removes_it()
    {
        string directory = MountedFileSystem.NewDirectory();

        // A server that mounts and dies.
        Fusermount.Mount(directory, MountedFileSystem.Options).Dispose();
        FuseMountException failure = Refusal(directory);
        Assert.Equal(FuseMountFailure.Stale, failure.Reason);
        Assert.Contains($"fusermount3 -u -z {directory}", failure.Message, StringComparison.Ordinal);

        Assert.Equal(0, await MountedFileSystem.Run("fusermount3", "-u", "-z", directory));
        FuseMount.Mount(directory, new MemoryFileSystem(), MountedFileSystem.Options).Dispose();
        Directory.Delete(directory);
    }

    [Fact]
    public void A_handler_that_throws_when_told_of_the_mount_leaves_nothing_mounted()
    {
        string directory = MountedFileSystem.NewDirectory();
        Assert.Throws<InvalidOperationException>(
            () => FuseMount.Mount(directory, new RefusingFileSystem(), MountedFileSystem.Options));
        Assert.Null(MountTable.FindTop(directory));
        Directory.Delete(directory);
    }

    [Theory]
    [InlineData(Errno.ENOENT, FuseMountFailure.NoDevice, "modprobe fuse")]
    [InlineData(Errno.EACCES, FuseMountFailure.NoPermission, "fusermount3")]
    public void A_device_that_cannot_be_opened_is_explained(int errno, FuseMountFailure reason, string advice)
    {
        FuseMountException failure = FuseMount.CannotOpen(errno);
        Assert.Equal(reason, failure.Reason);
        Assert.Contains(advice, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("fuse device not found, try 'modprobe fuse' first", FuseMountFailure.NoDevice, "modprobe")]
    [InlineData("failed to open /dev/fuse: Permission denied", FuseMountFailure.NoPermission, "chmod 666 /dev/fuse")]
    [InlineData("option allow_other only allowed if set", FuseMountFailure.NoPermission, "user_allow_other")]
    [InlineData("user has no write access to mountpoint /x", FuseMountFailure.NoPermission, "directory of your own")]
    [InlineData("something new", FuseMountFailure.FusermountFailed, "something new")]
    public void What_the_set_user_id_program_complains_about_is_explained(
        string complaint, FuseMountFailure reason, string advice)
    {
        FuseMountException failure = Fusermount.Refused("/x", complaint);
        Assert.Equal(reason, failure.Reason);
        Assert.Contains(advice, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_out_of_range_are_refused_before_anything_is_mounted()
    {
        MemoryFileSystem files = new();
        FuseMountOptions options = MountedFileSystem.Options;
        Assert.Throws<ArgumentOutOfRangeException>(() => FuseMount.Mount("/", files, options with { Workers = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => FuseMount.Mount("/", files, options with { MaxRequestBytes = 5000 }));
        Assert.Throws<ArgumentException>(() => FuseMount.Mount("/", files, options with { FsName = "a,allow_other" }));
        Assert.Throws<ArgumentException>(() => FuseMount.Mount("", files, options));
    }

    [Fact]
    public void No_child_process_inherits_the_device()
    {
        using MountedFileSystem mounted = new();
        int[] devices = [.. Directory.GetFiles("/proc/self/fd")
            .Where(link => new FileInfo(link).LinkTarget == FuseDevice.Path)
            .Select(link => int.Parse(Path.GetFileName(link), System.Globalization.CultureInfo.InvariantCulture))];
        Assert.NotEmpty(devices);
        const int getDescriptorFlags = 1;
        Assert.All(devices, fd => Assert.Equal(LibC.FD_CLOEXEC, LibC.fcntl(fd, getDescriptorFlags, 0)));
    }

    private static FuseMountException Refusal(string path) => Assert.Throws<FuseMountException>(
        () => FuseMount.Mount(path, new MemoryFileSystem(), MountedFileSystem.Options));
}
