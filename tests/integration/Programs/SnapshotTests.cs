using KvFs.Core;
using KvFs.Integration.Tests.Drives;
using KvFs.Mount;

namespace KvFs.Integration.Tests.Programs;

/// <summary>Snapshots and clones of a drive that is in use, seen through mounts.</summary>
public sealed class SnapshotTests
{
    private const int Files = 20;

    [Fact]
    public async Task A_snapshot_taken_while_files_are_written_shows_what_was_there_before()
    {
        await using RestartableDrive drive = await RestartableDrive.StartAsync();
        byte[][] old = [.. Enumerable.Range(0, Files).Select(i => Content(i, (i * 7_000) + 10))];
        for (int i = 0; i < Files; i++) { File.WriteAllBytes(At(drive, i), old[i]); }
        using (FileStream open = File.Open(At(drive, 0), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            // Not synced, not closed: it was answered, so the snapshot has it.
            open.Write("answered"u8);
            open.Flush(flushToDisk: false);
            "answered"u8.CopyTo(old[0]);

            using CancellationTokenSource enough = new();
            TaskCompletionSource isWriting = new();
            Task writer = Task.Run(() => WriteUntil(Path.Combine(drive.Path, "busy"), isWriting, enough.Token));
            await isWriting.Task.WaitAsync(RealProgram.Deadline);
            Assert.Equal(Status.Ok, (await drive.Admin.CreateSnapshotAsync(RestartableDrive.Name, "before", default)).Status);
            for (int i = 1; i < Files; i++)
            {
                if (i % 3 == 0) { File.Delete(At(drive, i)); }
                if (i % 3 == 1) { File.WriteAllBytes(At(drive, i), Content(i + 100, 5_000)); }
                if (i % 3 == 2) { File.Move(At(drive, i), At(drive, i) + "-moved"); }
            }

            await enough.CancelAsync();
            await writer.WaitAsync(RealProgram.Deadline);
        }

        VerifySnapshot(drive, old);
        AssertAllOneByte(Path.Combine(drive.Path, ".snapshots", "before", "busy"));
        await drive.RestartAsync();
        VerifySnapshot(drive, old);
    }

    [Fact]
    public async Task A_clone_starts_as_its_origin_and_neither_sees_what_the_other_writes_after()
    {
        using TestFolder folder = new();
        await using RestartableDrive drive = await RestartableDrive.StartAsync(folder);
        byte[] old = Content(1, 200_000);
        File.WriteAllBytes(At(drive, 1), old);
        File.WriteAllBytes(At(drive, 2), old);
        Assert.Equal(Status.Ok, (await drive.Admin.CloneAsync(RestartableDrive.Name, null, "copy", default)).Status);
        string path = Path.Combine(folder.Local, "clone");
        await using (DriveMount clone = await drive.MountAsync("copy", path))
        {
            Assert.Equal(old, File.ReadAllBytes(Path.Combine(path, "f1")));
            using (FileStream change = File.OpenWrite(Path.Combine(path, "f1"))) { change.Write("clone"u8); }
            using (FileStream change = File.OpenWrite(At(drive, 1))) { change.Write("origin"u8); }
            File.Delete(Path.Combine(path, "f2"));

            byte[] inClone = [.. "clone"u8, .. old[5..]];
            byte[] inOrigin = [.. "origin"u8, .. old[6..]];
            Assert.Equal(inClone, File.ReadAllBytes(Path.Combine(path, "f1")));
            Assert.Equal(inOrigin, File.ReadAllBytes(At(drive, 1)));
            Assert.False(File.Exists(Path.Combine(path, "f2")));
            Assert.Equal(old, File.ReadAllBytes(At(drive, 2)));
            await clone.UnmountAsync(lazy: false);
        }
    }

    private static string At(RestartableDrive drive, int file) => Path.Combine(drive.Path, $"f{file}");

    private static void VerifySnapshot(RestartableDrive drive, byte[][] old)
    {
        string snapshot = Path.Combine(drive.Path, ".snapshots", "before");
        for (int i = 0; i < Files; i++) { Assert.Equal(old[i], File.ReadAllBytes(Path.Combine(snapshot, $"f{i}"))); }
        Assert.Equal(Files + 1, Directory.EnumerateFileSystemEntries(snapshot).Count());
        Assert.Throws<IOException>(() => File.WriteAllBytes(Path.Combine(snapshot, "f1"), []));
    }

    /// <summary>Overwrites one page again and again, each time whole with another byte.</summary>
    private static void WriteUntil(string path, TaskCompletionSource isWriting, CancellationToken enough)
    {
        byte[] page = new byte[4096];
        using FileStream file = new(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        for (int round = 0; !enough.IsCancellationRequested; round++)
        {
            page.AsSpan().Fill((byte)round);
            RandomAccess.Write(file.SafeFileHandle, page, 0);
            isWriting.TrySetResult();
        }
    }

    /// <summary>A snapshot lies between two writes, never within one.</summary>
    private static void AssertAllOneByte(string path)
    {
        byte[] page = File.ReadAllBytes(path);
        Assert.Equal(4096, page.Length);
        Assert.Equal(-1, page.AsSpan().IndexOfAnyExcept(page[0]));
    }

    private static byte[] Content(int seed, int length)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
