using System.Globalization;
using KvFs.Integration.Tests.Native;
using CliCalls = KvFs.Cli.Native.Posix;

namespace KvFs.Integration.Tests.Drives;

/// <summary>A real, small disk: ext4 in a file, through a loop device. Needs root and loop devices.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly string image;

    private readonly string path;

    private SmallDisk(string image, string path)
    {
        this.image = image;
        this.path = path;
    }

    /// <summary>Makes one, and mounts it in a folder that is made for it.</summary>
    public static SmallDisk Create(string image, string path, long bytes)
    {
        Directory.CreateDirectory(path);
        using (FileStream file = File.Create(image)) { file.SetLength(bytes); }
        RealProgram.Run("/", "mkfs.ext4", "-q", "-F", "-m", "0", image);
        SmallDisk disk = new(image, path);
        disk.Mount();
        return disk;
    }

    /// <summary>Takes all but so many bytes of what is free, as another program would.</summary>
    /// <returns>The file that has them.</returns>
    public string Fill(long free)
    {
        string file = Path.Combine(path, "of-another-program");
        long bytes = new DriveInfo(path).AvailableFreeSpace - free;
        RealProgram.Run("/", "fallocate", "-l", bytes.ToString(CultureInfo.InvariantCulture), file);
        return file;
    }

    /// <summary>It dies: whatever was not synced is gone, and every call fails from now on.</summary>
    public unsafe void Fail()
    {
        // EXT4_GOING_FLAGS_NOLOGFLUSH
        uint flags = 2;
        int folder = LibC.open(path, 0, 0);
        Assert.True(folder >= 0);
        int answer = LibC.ioctl(folder, LibC.FS_IOC_SHUTDOWN, &flags);
        LibC.close(folder);
        Assert.Equal(0, answer);
    }

    /// <summary>It is repaired, and has what it had. Nobody may use it.</summary>
    public void MountAgain()
    {
        // Threads of a process that was killed may still close its files when its end is known.
        Assert.True(SpinWait.SpinUntil(() => CliCalls.umount2(path, 0) == 0, RealProgram.Deadline), "The disk stays in use.");
        Mount();
    }

    public void Dispose()
    {
        // Lazy: of a test that failed a process may still use it, and what is told must be why it failed.
        RealProgram.Run("/", "umount", "--lazy", path);
        File.Delete(image);
    }

    private void Mount() => RealProgram.Run("/", "mount", "-o", "loop", image, path);
}

/// <summary>A test on a small disk: where there can be none it is passed over, and says why.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SmallDiskFactAttribute : FactAttribute
{
    public SmallDiskFactAttribute()
    {
        if (!File.Exists("/dev/loop-control")) { Skip = "a small disk needs loop devices"; }
        if (LibC.geteuid() != 0) { Skip = "a small disk needs root, to mount it"; }
    }
}
