using System.Globalization;
using KvFs.Integration.Tests.Drives;
using Xunit.Abstractions;

namespace KvFs.Integration.Tests.Posix;

/// <summary>Random lives of a mounted drive beside the same lives of the local file system.</summary>
/// <remarks>KVFS_SEED=n runs one seed, KVFS_SEEDS=n that many instead of the few.</remarks>
public sealed class PosixModelTests(ITestOutputHelper output)
{
    private const int DefaultSeeds = 60;
    private const int Calls = 300;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Every_call_does_on_a_mount_what_it_does_on_the_local_disk(bool isBuffered)
    {
        using TestFolder folder = new();
        await using RestartableDrive drive = await RestartableDrive.StartAsync(folder, isBuffered);
        SideBySide sides = new(folder.Local, drive.Path);
        List<(string Path, List<string> Image)> trees = [];
        foreach (int seed in Seeds())
        {
            List<PosixCall> calls = new PosixGenerator(seed).Draw(Calls);
            if (sides.Run(calls) is { } difference) { Fail(seed, sides, calls, difference); }
            trees.Add((sides.Last.Mount, TreeImage.Take(sides.Last.Mount)));
        }

        output.WriteLine(string.Join(' ', sides.Worked.Select(static worked => $"{worked.Key} {worked.Value}")));

        // A generator whose calls of some kind all fail would prove little. One seed alone may be such.
        IEnumerable<PosixKind> neverWorked = Enum.GetValues<PosixKind>().Except(sides.Worked.Keys);
        Assert.True(trees.Count < DefaultSeeds || !neverWorked.Any(), $"never worked: {string.Join(' ', neverWorked)}");

        await drive.RestartAsync();
        foreach ((string path, List<string> image) in trees)
        {
            Assert.Equal(image, TreeImage.Take(path));
        }
    }

    [Fact]
    public void A_planted_difference_is_found_and_shrunk_to_the_calls_that_make_it()
    {
        using TestFolder folder = new();
        SideBySide sides = new(folder.Local, folder.Mount, static call =>
            call.Kind == PosixKind.Truncate ? call with { Offset = call.Offset + 1 } : call);
        for (int seed = 1; seed <= DefaultSeeds; seed++)
        {
            List<PosixCall> calls = new PosixGenerator(seed).Draw(Calls);
            if (sides.Run(calls) is not { } difference) { continue; }
            (List<PosixCall> least, _) = sides.Shrink(calls, difference);

            // What makes the file and its directory, perhaps under another name, and the one that is wrong: no call less.
            Assert.InRange(least.Count, 2, 5);
            Assert.Contains(least, static call => call.Kind == PosixKind.Truncate);
            for (int at = 0; at < least.Count; at++)
            {
                Assert.Null(sides.Run([.. least[..at], .. least[(at + 1)..]]));
            }

            return;
        }

        Assert.Fail("The planted difference was not found.");
    }

    private static IEnumerable<int> Seeds()
    {
        if (Number("KVFS_SEED") is { } one) { return [one]; }
        return Enumerable.Range(1, Number("KVFS_SEEDS") ?? DefaultSeeds);
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number)
            ? number
            : null;

    private static void Fail(int seed, SideBySide sides, List<PosixCall> calls, Difference difference)
    {
        (List<PosixCall> least, Difference smallest) = sides.Shrink(calls, difference);
        Assert.Fail($"KVFS_SEED={seed}\nat first: {difference.Text}\nafter shrinking: {smallest.Text}\nthe calls:\n  "
            + string.Join("\n  ", least));
    }
}
