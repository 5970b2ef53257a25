using KvFs.Integration.Tests.Native;

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
        RealProgram.Run("/", "mount", "-o", "loop", image, path);
        return new(image, path);
    }

    public void Dispose()
    {
        RealProgram.Run("/", "umount", path);
        File.Delete(image);
    }
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
