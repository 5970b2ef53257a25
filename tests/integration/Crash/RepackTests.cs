using System.Globalization;
using KvFs.Core;
using KvFs.Integration.Tests.Drives;
using KvFs.Node.Checking;

namespace KvFs.Integration.Tests.Crash;

/// <summary>Space that was overwritten comes back, also when the server is killed again and again while it sees to that.
/// </summary>
public sealed class RepackTests
{
    private const int MiB = 1 << 20;
    private const int FileBytes = 96 * MiB;
    private const int Kills = 6;

    [Fact]
    public async Task Overwritten_space_comes_back_in_spite_of_kills_and_files_and_snapshots_stay_the_same()
    {
        const int seed = 5;
        Random random = new(seed);
        byte[] kept = new byte[16 * MiB];
        byte[] content = new byte[FileBytes];
        random.NextBytes(kept);
        random.NextBytes(content);
        using TestFolder folder = new();
        long peak;
        await using (RestartableDrive drive = await RestartableDrive.StartAsync(folder))
        {
            Write(folder, "kept", kept, 0, kept.Length);
            Assert.Equal(Status.Ok, (await drive.Admin.CreateSnapshotAsync(RestartableDrive.Name, "s", default)).Status);
            Write(folder, "busy", content, 0, FileBytes);
            peak = DiskBytes(folder);
            for (int at = 0; at < FileBytes; at += MiB)
            {
                random.NextBytes(content.AsSpan(at, MiB / 10 * 6));
                Write(folder, "busy", content, at, MiB / 10 * 6);
            }

            Write(folder, "kept", content, 0, kept.Length);
            peak = Math.Max(peak, DiskBytes(folder));
        }

        // A server looks for half-dead blocks as soon as it is up: kills soon after that meet it at work.
        for (int round = 0; round < Kills; round++)
        {
            using Victim victim = await Victim.StartAsync(folder);
            byte[] part = new byte[random.Next(1, FileBytes)];
            using (FileStream file = File.OpenRead(Path.Combine(folder.Mount, "busy"))) { file.ReadExactly(part); }
            victim.Kill();
            Assert.True(part.AsSpan().SequenceEqual(content.AsSpan(0, part.Length)), $"Seed {seed}, round {round}.");
        }

        await using RestartableDrive again = await RestartableDrive.StartAsync(folder);
        const long live = FileBytes + (2 * 16 * MiB);
        Assert.True(
            SpinWait.SpinUntil(() => DiskBytes(folder) < live + (live / 8), RealProgram.Deadline),
            string.Create(CultureInfo.InvariantCulture, $"{DiskBytes(folder)} of {peak} bytes are in use, {live} are live."));
        Verify(Path.Combine(folder.Mount, "busy"), content);
        Verify(Path.Combine(folder.Mount, ".snapshots", "s", "kept"), kept);
        NodeCheckReport report = await again.UnmountAndCheckAsync();
        Assert.True(report.ProblemCount == 0, string.Join('\n', report.Problems));
    }

    private static void Write(TestFolder folder, string name, byte[] content, int at, int length)
    {
        using FileStream file = new(
            Path.Combine(folder.Mount, name), FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, bufferSize: 0);
        file.Position = at;
        file.Write(content, at, length);
        file.Flush(flushToDisk: true);
    }

    private static void Verify(string path, byte[] expected) =>
        Assert.True(expected.AsSpan().SequenceEqual(File.ReadAllBytes(path)), $"'{path}' shows something else.");

    /// <summary>What the blocks of all drives occupy of the disk.</summary>
    private static long DiskBytes(TestFolder folder)
    {
        string text = RealProgram.Run("/", "du", "--block-size=1", "-s", Path.Combine(folder.Data, "drives"));
        return long.Parse(text.Split('\t')[0], CultureInfo.InvariantCulture);
    }
}
