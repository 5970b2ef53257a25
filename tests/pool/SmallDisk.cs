using System.Diagnostics;

namespace KvFs.Pool.Tests;

/// <summary>A real, small disk: ext4 in a sparse file, through a loop device. It can be filled, and emptied again.</summary>
internal sealed class SmallDisk : IDisposable
{
    private const long Bytes = 2L << 30;

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-disk-").FullName;

    private bool isFrozen;

    private SmallDisk()
    {
    }

    /// <summary>Where it is mounted.</summary>
    public string Root => Path.Combine(folder, "disk");

    public static SmallDisk Create()
    {
        SmallDisk disk = new();
        string image = Path.Combine(disk.folder, "image");
        Directory.CreateDirectory(disk.Root);
        using (FileStream file = File.Create(image)) { file.SetLength(Bytes); }
        Run("mkfs.ext4", "-q", "-F", "-m", "0", image);
        Run("mount", "-o", "loop", image, disk.Root);
        return disk;
    }

    /// <summary>Takes all of its space but so many bytes.</summary>
    public void Fill(long left)
    {
        // Whoever writes meanwhile may have taken of what was free: what is refused is asked for anew.
        const int Attempts = 20;
        for (int attempt = 1; ; attempt++)
        {
            long free = new System.IO.DriveInfo(Root).AvailableFreeSpace;
            if (free <= left) { return; }
            try
            {
                Run("fallocate", "-l", $"{free - left}", Filler);
                return;
            }
            catch (InvalidOperationException) when (attempt < Attempts)
            {
                Empty();
            }
        }
    }

    /// <summary>Gives the space back.</summary>
    public void Empty() => File.Delete(Filler);

    /// <summary>Holds up whoever writes to it or syncs, until <see cref="Thaw"/>.</summary>
    public void Freeze()
    {
        Run("fsfreeze", "--freeze", Root);
        isFrozen = true;
    }

    /// <summary>Goes on with what was held up.</summary>
    public void Thaw()
    {
        Run("fsfreeze", "--unfreeze", Root);
        isFrozen = false;
    }

    public void Dispose()
    {
        if (isFrozen) { Thaw(); }
        Run("umount", Root);
        Directory.Delete(folder, recursive: true);
    }

    private string Filler => Path.Combine(Root, "filler");

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0) { throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {process.ExitCode}, {error}"); }
    }
}

/// <summary>A test on small disks: where there can be none it is passed over, and says why.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SmallDiskFactAttribute : FactAttribute
{
    public SmallDiskFactAttribute()
    {
        if (!File.Exists("/dev/loop-control")) { Skip = "a small disk needs loop devices"; }
        if (!Environment.IsPrivilegedProcess) { Skip = "a small disk needs root, to mount it"; }
    }
}
