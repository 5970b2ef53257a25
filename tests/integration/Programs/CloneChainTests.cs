using KvFs.Core;
using KvFs.Integration.Tests.Drives;
using KvFs.Mount;
using KvFs.Node.Checking;
using KvFs.Protocol;
using DriveInfo = KvFs.Protocol.DriveInfo;

namespace KvFs.Integration.Tests.Programs;

/// <summary>Clones of clones of clones, each changed through a mount of its own.</summary>
public sealed class CloneChainTests
{
    private const int Depth = 20;
    private const int FileBytes = 300_000;

    [Fact]
    public async Task Each_clone_in_a_long_chain_shows_what_its_origin_had_and_lives_when_those_before_it_are_deleted()
    {
        using TestFolder folder = new();
        await using RestartableDrive drive = await RestartableDrive.StartAsync(folder);
        SortedDictionary<string, byte[]> expected = new(StringComparer.Ordinal);
        for (int file = 0; file < 12; file++) { Write(drive.Path, expected, $"f{file}", seed: file); }
        Assert.Equal(Status.Ok, (await drive.Admin.CreateSnapshotAsync(RestartableDrive.Name, "s", default)).Status);
        string origin = RestartableDrive.Name;
        for (int depth = 1; depth <= Depth; depth++)
        {
            string name = $"c{depth}";
            Assert.Equal(Status.Ok, (await drive.Admin.CloneAsync(origin, null, name, default)).Status);
            string path = Path.Combine(folder.Local, name);
            await using (DriveMount mount = await drive.MountAsync(name, path))
            {
                Verify(path, expected);
                Write(path, expected, $"f{depth % 12}", seed: 100 + depth);
                Write(path, expected, $"g{depth}", seed: 200 + depth);
                File.Delete(Path.Combine(path, $"f{(depth + 5) % 12}"));
                expected.Remove($"f{(depth + 5) % 12}");
                await mount.UnmountAsync(lazy: false);
            }

            Assert.Equal(Status.Ok, (await drive.Admin.CreateSnapshotAsync(name, "s", default)).Status);
            origin = name;
        }

        for (int depth = 1; depth < Depth; depth++)
        {
            Assert.Equal(Status.Ok, await drive.Admin.DeleteDriveAsync($"c{depth}", default));
        }

        await drive.RestartAsync();
        string last = Path.Combine(folder.Local, "last");
        await using (DriveMount mount = await drive.MountAsync($"c{Depth}", last))
        {
            Verify(last, expected);
            Verify(Path.Combine(last, ".snapshots", "s"), expected);
            await mount.UnmountAsync(lazy: false);
        }

        NodeCheckReport report = await drive.UnmountAndCheckAsync();
        Assert.True(report.ProblemCount == 0, string.Join('\n', report.Problems));
        Assert.Equal(Depth + 1, report.Drives);
    }

    [Fact]
    public async Task A_hundred_clones_of_clones_are_made_with_no_more_than_a_request_to_wait()
    {
        using TestFolder folder = new();
        await using RestartableDrive drive = await RestartableDrive.StartAsync(folder);
        File.WriteAllText(Path.Combine(drive.Path, "a"), "inherited");
        string origin = RestartableDrive.Name;
        for (int depth = 1; depth <= 100; depth++)
        {
            Reply<DriveInfo> made = default;
            Assert.True(
                SpinWait.SpinUntil(() => Made(drive, origin, $"c{depth}", out made), RealProgram.Deadline),
                $"Clone {depth}: {made.Status}");
            Assert.Equal(Status.Ok, made.Status);
            origin = $"c{depth}";
        }

        string path = Path.Combine(folder.Local, "last");
        await using DriveMount mount = await drive.MountAsync(origin, path);
        Assert.Equal("inherited", File.ReadAllText(Path.Combine(path, "a")));
        await mount.UnmountAsync(lazy: false);
        NodeCheckReport report = await drive.UnmountAndCheckAsync();
        Assert.True(report.ProblemCount == 0, string.Join('\n', report.Problems));
    }

    /// <summary>Whether there was another answer than to wait.</summary>
    private static bool Made(RestartableDrive drive, string origin, string name, out Reply<DriveInfo> made)
    {
        made = drive.Admin.CloneAsync(origin, null, name, default).AsTask().GetAwaiter().GetResult();
        return made.Status != Status.Busy;
    }

    private static void Write(string folder, SortedDictionary<string, byte[]> expected, string name, int seed)
    {
        byte[] bytes = new byte[FileBytes];
        new Random(seed).NextBytes(bytes);
        File.WriteAllBytes(Path.Combine(folder, name), bytes);
        expected[name] = bytes;
    }

    private static void Verify(string folder, SortedDictionary<string, byte[]> expected)
    {
        Assert.Equal(expected.Keys, Directory.EnumerateFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        foreach ((string name, byte[] bytes) in expected)
        {
            Assert.True(bytes.AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(folder, name))), $"{folder}: {name}");
        }
    }
}
