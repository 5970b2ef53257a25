using KvFs.Integration.Tests.Native;

namespace KvFs.Integration.Tests.Drives;

/// <summary>A temporary folder: a node's data, a mountpoint, and room on the local disk beside them.</summary>
internal sealed class TestFolder : IDisposable
{
    public TestFolder()
        : this(Directory.CreateTempSubdirectory("kvfs-proof-").FullName)
    {
        Directory.CreateDirectory(Mount);
        Directory.CreateDirectory(Local);
    }

    private TestFolder(string root) => Root = root;

    public string Root { get; }

    public string Data => Path.Combine(Root, "data");

    public string Mount => Path.Combine(Root, "mount");

    /// <summary>A folder on the local file system.</summary>
    public string Local => Path.Combine(Root, "local");

    /// <summary>The folder that another process made, and removes.</summary>
    public static TestFolder At(string root) => new(root);

    /// <summary>Unmounts what a killed server left, now, also while it is in use. Nothing mounted is fine.</summary>
    public void UnmountDead()
    {
        bool isMounted = File.ReadLines("/proc/self/mounts")
            .Any(line => line.Split(' ') is [_, string point, ..] && point == Mount);
        if (isMounted) { RealProgram.Run("/", "fusermount3", "-u", "-z", Mount); }
    }

    public void Dispose()
    {
        UnmountDead();

        // Tests leave files and folders that not even their owner may look into.
        if (LibC.geteuid() != 0) { RealProgram.Run("/", "chmod", "-R", "u+rwX", Root); }
        Directory.Delete(Root, recursive: true);
    }
}
