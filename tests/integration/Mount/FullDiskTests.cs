using KvFs.Integration.Tests.Drives;
using KvFs.Node.Checking;

namespace KvFs.Integration.Tests.Mount;

/// <summary>A disk that is full, for real: what was acknowledged stays, the rest is refused, and all goes on once there is
/// room.</summary>
public sealed class FullDiskTests
{
    private const long DiskBytes = 768L << 20;
    private const int ENOSPC = 28;

    /// <summary>Sizes of files, in turn: inline, a small block, many blocks.</summary>
    private static readonly int[] Sizes = [3_000, 70_000, 5 << 20];

    [SmallDiskFact]
    public async Task A_disk_that_is_filled_to_the_last_refuses_cleanly_keeps_what_it_has_and_can_be_emptied_and_filled_again()
    {
        using TestFolder folder = new();
        using SmallDisk disk = SmallDisk.Create(Path.Combine(folder.Local, "disk.img"), folder.Data, DiskBytes);
        SortedDictionary<int, int> files = [];
        await using RestartableDrive drive = await RestartableDrive.StartAsync(folder);
        int next = Fill(drive, files, first: 0);
        Assert.InRange(files.Values.Sum(size => (long)size), DiskBytes / 4, DiskBytes);
        Verify(drive, files);
        Directory.CreateDirectory(Path.Combine(drive.Path, "names-need-little"));

        foreach (int file in files.Keys.Where(file => file % 4 != 0).ToArray())
        {
            File.Delete(At(drive, file));
            files.Remove(file);
        }

        // The blocks go when no reader can be on its way to them any more.
        long before = files.Count;
        Assert.True(
            SpinWait.SpinUntil(
                () =>
                {
                    next = Fill(drive, files, next);
                    return files.Count - before >= 100;
                },
                RealProgram.Deadline),
            "The room did not come back.");
        Verify(drive, files);
        await drive.RestartAsync();
        Verify(drive, files);
        NodeCheckReport report = await drive.UnmountAndCheckAsync();
        Assert.True(report.ProblemCount == 0, string.Join('\n', report.Problems));
        await drive.StopAsync();
    }

    /// <summary>Writes and syncs one file after the other until one is refused, which is removed.</summary>
    /// <returns>The next file's number.</returns>
    private static int Fill(RestartableDrive drive, SortedDictionary<int, int> files, int first)
    {
        for (int file = first; ; file++)
        {
            int size = Sizes[file % Sizes.Length];
            try
            {
                using FileStream stream = new(At(drive, file), FileMode.Create, FileAccess.Write, FileShare.None, 0);
                stream.Write(Content(file, size));
                stream.Flush(flushToDisk: true);
            }
            catch (IOException refused)
            {
                Assert.Equal(ENOSPC, refused.HResult);
                File.Delete(At(drive, file));
                return file;
            }

            files.Add(file, size);
        }
    }

    private static void Verify(RestartableDrive drive, SortedDictionary<int, int> files)
    {
        foreach ((int file, int size) in files)
        {
            Assert.True(Content(file, size).AsSpan().SequenceEqual(File.ReadAllBytes(At(drive, file))), $"File {file}.");
        }
    }

    private static string At(RestartableDrive drive, int file) => Path.Combine(drive.Path, $"f{file}");

    private static byte[] Content(int file, int size)
    {
        byte[] bytes = new byte[size];
        new Random(file).NextBytes(bytes);
        return bytes;
    }
}
