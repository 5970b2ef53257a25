using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

public sealed class DiskWatchTests
{
    private readonly ManualTime clock = new();

    [Fact]
    public void The_oldest_answer_that_is_owed_counts()
    {
        DiskWatch watch = new(clock);
        Assert.Equal(TimeSpan.Zero, watch.Owed());
        int first = watch.Begin();
        clock.Advance(TimeSpan.FromSeconds(2));
        int second = watch.Begin();
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.FromSeconds(3), watch.Owed());
        watch.End(first);
        Assert.Equal(TimeSpan.FromSeconds(1), watch.Owed());
        watch.End(second);
        Assert.Equal(TimeSpan.Zero, watch.Owed());
    }

    [Fact]
    public void More_operations_than_it_has_places_for_are_let_through_unseen()
    {
        DiskWatch watch = new(clock);
        int[] places = [.. Enumerable.Range(0, 100).Select(_ => watch.Begin())];
        int[] seen = [.. places.Where(static place => place >= 0)];
        Assert.Equal(64, seen.Distinct().Count());
        Assert.Equal(64, seen.Length);
        foreach (int place in places) { watch.End(place); }
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.Zero, watch.Owed());
    }

    [Fact]
    public void A_disk_owes_nothing_once_it_has_answered()
    {
        string folder = Directory.CreateTempSubdirectory("kvfs-watch-").FullName;
        try
        {
            DiskWatch watch = new(TimeProvider.System);
            LinuxDisk disk = new(folder, watch);
            Assert.Equal(KvFs.Core.Status.Ok, disk.Create("file", out IDiskFile? file));
            using (file)
            {
                Assert.Equal(KvFs.Core.Status.Ok, file!.Write(0, new byte[100]));
                Assert.Equal(KvFs.Core.Status.Ok, file.Sync());
            }

            Assert.Equal(TimeSpan.Zero, watch.Owed());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
