namespace KvFs.Mount.Tests.Kernel;

[Collection(KernelCollection.Name)]
public sealed class NotificationTests
{
    private const ulong Long = 3600;

    [Fact]
    public void What_the_kernel_caches_stays_until_it_is_invalidated()
    {
        using MountedFileSystem mounted = new(
            new MemoryFileSystem { ValidSeconds = Long },
            options => options with { Features = new FuseFeatures { DataInvalidation = DataInvalidation.Explicit } });
        using FileStream file = new(mounted["a"], FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite);
        file.Write("old!"u8);
        file.Flush();
        Assert.Equal("old!", Read(file));

        ulong id = mounted.Files.IdOf("a");
        mounted.Files.ReplaceContent(id, "new content"u8.ToArray());
        Assert.Equal("old!", Read(file));
        Assert.Equal(FuseNotifyOutcome.Done, mounted.Connection.Notifier.InvalidateInode(id, 0, 0));
        Assert.Equal("new content", Read(file));
    }

    [Fact]
    public void A_cached_name_goes_when_it_is_invalidated()
    {
        using MountedFileSystem mounted = new(new MemoryFileSystem { ValidSeconds = Long });
        File.WriteAllText(mounted["a"], "x");
        File.WriteAllText(mounted["b"], "x");
        File.WriteAllText(mounted["c"], "x");
        mounted.Files.RemoveName("a");
        mounted.Files.RemoveName("b");
        ulong id = mounted.Files.RemoveName("c");
        FuseNotifier notifier = mounted.Connection.Notifier;
        Assert.True(File.Exists(mounted["a"]));
        Assert.Equal(FuseNotifyOutcome.Done, notifier.InvalidateEntry(1, "a"u8));
        Assert.False(File.Exists(mounted["a"]));

        Assert.True(File.Exists(mounted["b"]));
        Assert.Equal(FuseNotifyOutcome.Done, notifier.InvalidateEntry(1, "b"u8, expireOnly: true));
        Assert.False(File.Exists(mounted["b"]));

        Assert.True(File.Exists(mounted["c"]));
        Assert.Equal(FuseNotifyOutcome.Done, notifier.Delete(1, id, "c"u8));
        Assert.False(File.Exists(mounted["c"]));
    }

    [Fact]
    public void What_the_kernel_does_not_know_needs_no_invalidation()
    {
        using MountedFileSystem mounted = new();
        FuseNotifier notifier = mounted.Connection.Notifier;
        Assert.Equal(FuseNotifyOutcome.NotCached, notifier.InvalidateInode(12345, 0, 0));
        Assert.Equal(FuseNotifyOutcome.NotCached, notifier.InvalidateAttributes(12345));
        Assert.Equal(FuseNotifyOutcome.NotCached, notifier.InvalidateEntry(1, "never seen"u8));
        Assert.Equal(FuseNotifyOutcome.NotCached, notifier.Store(12345, 0, "data"u8));
        Assert.Empty(mounted.Faults);
    }

    [Fact]
    public void Stored_bytes_are_read_from_the_page_cache()
    {
        using MountedFileSystem mounted = new(
            new MemoryFileSystem { ValidSeconds = Long },
            options => options with { Features = new FuseFeatures { DataInvalidation = DataInvalidation.Explicit } });
        using FileStream file = new(mounted["a"], FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite);
        file.Write("12345678"u8);
        file.Flush();

        // A page that was read is whole; the kernel keeps stored bytes only of such.
        Assert.Equal("12345678", Read(file));
        FuseNotifyOutcome stored = mounted.Connection.Notifier.Store(mounted.Files.IdOf("a"), 2, "abc"u8);
        Assert.Equal(FuseNotifyOutcome.Done, stored);
        Assert.Equal("12abc678", Read(file));
    }

    [Fact]
    public async Task After_the_end_a_notification_says_so()
    {
        using MountedFileSystem mounted = new();
        mounted.Connection.Unmount();
        await mounted.Ended;
        Assert.Equal(FuseNotifyOutcome.Ended, mounted.Connection.Notifier.InvalidateEntry(1, "a"u8));
    }

    [Fact]
    public void A_worker_may_neither_notify_nor_unmount()
    {
        NotifyingFileSystem files = new();
        string directory = MountedFileSystem.NewDirectory();
        using (FuseMount.Mount(directory, files, MountedFileSystem.Options))
        {
            _ = new DriveInfo(directory).TotalSize;
        }

        Directory.Delete(directory);
        Assert.Equal(2, files.Refusals);
    }

    [Fact]
    public void A_bad_name_is_refused_before_it_reaches_the_kernel()
    {
        using MountedFileSystem mounted = new();
        FuseNotifier notifier = mounted.Connection.Notifier;
        Assert.Throws<ArgumentException>(() => notifier.InvalidateEntry(1, ""u8));
        Assert.Throws<ArgumentException>(() => notifier.InvalidateEntry(1, "a\0b"u8));
        Assert.Throws<ArgumentException>(() => notifier.Delete(1, 2, new byte[256]));
    }

    private static string Read(FileStream file)
    {
        byte[] content = new byte[100];
        int length = RandomAccess.Read(file.SafeFileHandle, content, 0);
        return System.Text.Encoding.UTF8.GetString(content, 0, length);
    }
}
