using System.Runtime.InteropServices;

namespace KvFs.Mount.Tests.Kernel;

[Collection(KernelCollection.Name)]
public sealed class MountedFilesTests
{
    [Fact]
    public void Files_are_created_written_read_renamed_and_removed()
    {
        using MountedFileSystem mounted = new();
        File.WriteAllText(mounted["a"], "hello");
        Assert.Equal("hello", File.ReadAllText(mounted["a"]));
        File.AppendAllText(mounted["a"], " world");
        Assert.Equal(11, new FileInfo(mounted["a"]).Length);

        Directory.CreateDirectory(mounted["dir/below"]);
        File.Move(mounted["a"], mounted["dir/b"]);
        Assert.False(File.Exists(mounted["a"]));
        Assert.Equal("hello world", File.ReadAllText(mounted["dir/b"]));
        Assert.Throws<IOException>(() => File.Move(mounted["dir/b"], mounted["dir/below"]));

        File.CreateSymbolicLink(mounted["link"], "dir/b");
        Assert.Equal("dir/b", new FileInfo(mounted["link"]).LinkTarget);
        Assert.Equal("hello world", File.ReadAllText(mounted["link"]));

        Assert.Throws<IOException>(() => Directory.Delete(mounted["dir"]));
        Directory.Delete(mounted["dir"], recursive: true);
        File.Delete(mounted["link"]);
        Assert.Empty(Directory.EnumerateFileSystemEntries(mounted.Root));
        Assert.Empty(mounted.Faults);
    }

    [Fact]
    public void A_write_of_a_mebibyte_arrives_as_one_request_at_a_page_boundary()
    {
        using MountedFileSystem mounted = new();
        byte[] content = new byte[4 << 20];
        new Random(5).NextBytes(content);
        using (FileStream file = new(mounted["big"], FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0))
        {
            file.Write(content);
        }

        Assert.Equal(1 << 20, mounted.Files.LargestWrite);
        Assert.True(mounted.Files.WritesWereAligned);
        Assert.Equal(content, File.ReadAllBytes(mounted["big"]));
    }

    [Fact]
    public void A_direct_read_of_a_mebibyte_arrives_as_one_request()
    {
        using MountedFileSystem mounted = new(new MemoryFileSystem { DirectIo = true });
        byte[] content = new byte[3 << 20];
        new Random(6).NextBytes(content);
        File.WriteAllBytes(mounted["big"], content);
        using FileStream file = new(mounted["big"], FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        byte[] back = new byte[content.Length];
        file.ReadExactly(back);
        Assert.Equal(content, back);
        Assert.Equal(1 << 20, mounted.Files.LargestRead);
    }

    [Fact]
    public async Task Many_threads_work_at_once()
    {
        using MountedFileSystem mounted = new();
        await Task.WhenAll(Enumerable.Range(0, 16).Select(number => Task.Factory.StartNew(
            () => WriteAndCheck(mounted, number),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)));
        Assert.Equal(16, Directory.GetDirectories(mounted.Root).Length);
        Assert.Empty(mounted.Faults);
        Assert.Equal(0, mounted.Connection.PendingRequests);
    }

    [Fact]
    public void A_large_directory_is_listed_whole_while_names_go()
    {
        using MountedFileSystem mounted = new();
        for (int i = 0; i < 2000; i++) { File.WriteAllBytes(mounted[$"file-with-a-longer-name-{i:D4}"], []); }
        List<string> seen = [];
        foreach (string path in Directory.EnumerateFiles(mounted.Root))
        {
            seen.Add(Path.GetFileName(path));

            // Half of them goes while the listing is under way; the others must all be there, once.
            if (seen.Count == 1) { DeleteOdd(mounted); }
        }

        Assert.Equal(seen.Count, seen.Distinct().Count());
        Assert.All(Enumerable.Range(0, 1000), i => Assert.Contains($"file-with-a-longer-name-{2 * i:D4}", seen));
    }

    [Fact]
    public unsafe void Extended_attributes_come_back_as_they_were_set()
    {
        using MountedFileSystem mounted = new();
        string path = mounted["a"];
        File.WriteAllBytes(path, []);
        byte* buffer = stackalloc byte[100];
        buffer[0] = 11;
        buffer[1] = 22;
        Assert.Equal(0, NativeFile.SetXattr(path, "user.one", buffer, 2, 0));
        Assert.Equal(-1, NativeFile.SetXattr(path, "user.one", buffer, 2, (int)XattrSetFlags.Create));
        Assert.Equal(Errno.EEXIST, Marshal.GetLastPInvokeError());
        Assert.Equal(2, NativeFile.GetXattr(path, "user.one", null, 0));
        Assert.Equal(-1, NativeFile.GetXattr(path, "user.one", buffer, 1));
        Assert.Equal(Errno.ERANGE, Marshal.GetLastPInvokeError());
        new Span<byte>(buffer, 100).Clear();
        Assert.Equal(2, NativeFile.GetXattr(path, "user.one", buffer, 100));
        Assert.Equal((11, 22), (buffer[0], buffer[1]));
        Assert.Equal(9, NativeFile.ListXattr(path, buffer, 100));
        Assert.Equal("user.one\0"u8, new ReadOnlySpan<byte>(buffer, 9));
        Assert.Equal(0, NativeFile.RemoveXattr(path, "user.one"));
        Assert.Equal(-1, NativeFile.GetXattr(path, "user.one", buffer, 100));
        Assert.Equal(Errno.ENODATA, Marshal.GetLastPInvokeError());
    }

    [Fact]
    public unsafe void Copy_range_seek_and_ioctl_reach_the_handler()
    {
        using MountedFileSystem mounted = new();
        File.WriteAllText(mounted["from"], "0123456789");
        File.WriteAllText(mounted["to"], "");
        int from = NativeFile.Open(mounted["from"], 2, 0);
        int to = NativeFile.Open(mounted["to"], 2, 0);
        long fromOffset = 2;
        long toOffset = 0;
        Assert.Equal(5, NativeFile.CopyFileRange(from, &fromOffset, to, &toOffset, 5, 0));
        Assert.Equal(10, NativeFile.Lseek(from, 3, (int)SeekWhence.Hole));
        Assert.Equal(-1, NativeFile.Lseek(from, 10, (int)SeekWhence.Data));
        Assert.Equal(Errno.ENXIO, Marshal.GetLastPInvokeError());

        // _IOWR('k', 1, 4 bytes): what goes in comes back reversed.
        byte* argument = stackalloc byte[4] { 1, 2, 3, 4 };
        Assert.Equal(7, NativeFile.Ioctl(from, 0xC0046B01, argument));
        Assert.Equal((4, 3, 2, 1), (argument[0], argument[1], argument[2], argument[3]));
        _ = NativeFile.Close(from);
        _ = NativeFile.Close(to);
        Assert.Equal("23456", File.ReadAllText(mounted["to"]));
    }

    [Fact]
    public void A_handler_that_throws_gives_EIO_and_the_mount_lives_on()
    {
        using MountedFileSystem mounted = new();
        int descriptor = NativeFile.Open(mounted[MemoryFileSystem.PoisonedName], 0, 0);
        Assert.Equal((-1, Errno.EIO), (descriptor, Marshal.GetLastPInvokeError()));
        FuseFault fault = Assert.Single(mounted.Faults);
        Assert.Equal((FuseFaultKind.HandlerThrew, FuseOpcode.Lookup), (fault.Kind, fault.Opcode));
        Assert.IsType<InvalidOperationException>(fault.Exception);
        File.WriteAllText(mounted["a"], "alive");
        Assert.Equal("alive", File.ReadAllText(mounted["a"]));
    }

    [Fact]
    public void Removed_nodes_are_forgotten()
    {
        using MountedFileSystem mounted = new();
        for (int i = 0; i < 200; i++) { File.WriteAllBytes(mounted[$"{i}"], [1]); }
        for (int i = 0; i < 200; i++) { File.Delete(mounted[$"{i}"]); }

        // Forgets come behind the deletions; every request after them is served later.
        Assert.True(SpinWait.SpinUntil(() => mounted.Files.NodeCount == 1, MountedFileSystem.Patience));
    }

    [Fact]
    public void Names_of_255_bytes_work_and_longer_ones_do_not()
    {
        using MountedFileSystem mounted = new();
        File.WriteAllText(mounted[new string('n', 255)], "long");
        Assert.Equal("long", File.ReadAllText(mounted[new string('n', 255)]));
        Assert.Equal(-1, NativeFile.Open(mounted[new string('n', 256)], 0, 0));
        Assert.Equal(Errno.ENAMETOOLONG, Marshal.GetLastPInvokeError());
    }

    private static void DeleteOdd(MountedFileSystem mounted)
    {
        for (int i = 1; i < 2000; i += 2) { File.Delete(mounted[$"file-with-a-longer-name-{i:D4}"]); }
    }

    private static void WriteAndCheck(MountedFileSystem mounted, int number)
    {
        string directory = Directory.CreateDirectory(mounted[$"dir{number}"]).FullName;
        Random random = new(number);
        byte[] content = new byte[300_000];
        for (int i = 0; i < 20; i++)
        {
            random.NextBytes(content);
            string path = Path.Combine(directory, $"{i}");
            File.WriteAllBytes(path, content);
            Assert.Equal(content, File.ReadAllBytes(path));
            if (i % 2 == 0) { File.Delete(path); }
        }

        Assert.Equal(10, Directory.GetFiles(directory).Length);
    }
}
