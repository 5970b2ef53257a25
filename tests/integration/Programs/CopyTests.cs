using KvFs.Integration.Tests.Drives;
using KvFs.Integration.Tests.Native;

namespace KvFs.Integration.Tests.Programs;

/// <summary>Whole trees go to a drive and come back, by the programs that people use for it.</summary>
public sealed class CopyTests
{
    /// <summary>A folder of every machine that can build C: thousands of small files, folders and links.</summary>
    private const string Headers = "/usr/include";

    /// <summary>A part of it, for what reads it several times.</summary>
    private const string FewHeaders = "/usr/include/linux";

    [Fact]
    public async Task A_tree_unpacked_by_tar_is_the_same_byte_by_byte_and_stat_by_stat()
    {
        using TestFolder folder = new();
        await using RestartableDrive drive = await RestartableDrive.StartAsync(folder);
        string archive = Path.Combine(folder.Local, "tree.tar");
        RealProgram.Run(Headers, "tar", "--format=posix", "-cf", archive, ".");
        string unpacked = Directory.CreateDirectory(Path.Combine(drive.Path, "tree")).FullName;
        RealProgram.Run(unpacked, "tar", "-xpf", archive);
        int files = AssertSame(Headers, unpacked);
        Assert.True(files > 100, $"{Headers} has {files} entries only: not a test");

        await drive.RestartAsync();
        AssertSame(Headers, unpacked);
    }

    [Fact]
    public async Task Rsync_brings_a_tree_there_and_back_and_finds_nothing_to_do_after()
    {
        using TestFolder folder = new();
        await using RestartableDrive drive = await RestartableDrive.StartAsync(folder);
        string tree = Directory.CreateDirectory(Path.Combine(folder.Local, "tree")).FullName;
        RealProgram.Run("/", "cp", "-a", FewHeaders + "/.", tree);
        string there = Path.Combine(drive.Path, "there");
        string back = Path.Combine(folder.Local, "back");
        RealProgram.Run("/", "rsync", "-aH", tree + "/", there);
        Assert.Equal(string.Empty, Differences(tree, there));

        // A change on each side, in the middle and at the end of files: rsync -c must see both, and mend them in place.
        string[] changed = [.. Directory.EnumerateFiles(there).Order(StringComparer.Ordinal).Take(2)];
        File.AppendAllText(changed[0], "more");
        RealProgram.Run("/", "rsync", "-aHc", "--inplace", "--no-whole-file", tree + "/", there);
        RealProgram.Run("/", "rsync", "-aH", there + "/", back);
        Assert.Equal(string.Empty, Differences(tree, there));
        Assert.Equal(string.Empty, Differences(there, back));
        AssertSame(tree, back);
    }

    /// <summary>What rsync would still have to do, by checksums.</summary>
    private static string Differences(string from, string to) =>
        RealProgram.Run("/", "rsync", "-aHcn", "--delete", "--itemize-changes", from + "/", to);

    /// <summary>Compares every name below two folders.</summary>
    /// <returns>How many there are.</returns>
    private static int AssertSame(string right, string found)
    {
        string[] names = Names(right);
        Assert.Equal(names, Names(found));
        foreach (string name in names)
        {
            string expectedPath = Path.Combine(right, name);
            string actualPath = Path.Combine(found, name);
            Assert.Equal(0, FileStatus.TryGet(expectedPath, follow: false, out FileStatus expected));
            Assert.Equal(0, FileStatus.TryGet(actualPath, follow: false, out FileStatus actual));

            // Only root can give files away.
            if (LibC.geteuid() != 0) { expected = expected with { Owner = actual.Owner, Group = actual.Group }; }

            // A directory's size is each file system's own matter.
            if (expected.IsDirectory) { expected = expected with { Size = actual.Size }; }
            Assert.True(expected == actual, $"{name}: {actual} instead of {expected}");
            if (expected.IsLink) { Assert.Equal(new FileInfo(expectedPath).LinkTarget, new FileInfo(actualPath).LinkTarget); }
            if (expected.IsFile)
            {
                Assert.True(
                    File.ReadAllBytes(expectedPath).AsSpan().SequenceEqual(File.ReadAllBytes(actualPath)),
                    $"{name}: other bytes");
            }
        }

        return names.Length;
    }

    /// <summary>Every name below a folder, sorted. Links are names, too, and are not followed.</summary>
    private static string[] Names(string root)
    {
        EnumerationOptions flat = new() { AttributesToSkip = FileAttributes.None };
        List<string> names = [];
        Stack<string> folders = new([root]);
        while (folders.TryPop(out string? folder))
        {
            foreach (string path in Directory.EnumerateFileSystemEntries(folder, "*", flat))
            {
                names.Add(Path.GetRelativePath(root, path));
                Assert.Equal(0, FileStatus.TryGet(path, follow: false, out FileStatus status));
                if (status.IsDirectory) { folders.Push(path); }
            }
        }

        names.Sort(StringComparer.Ordinal);
        return [.. names];
    }
}
