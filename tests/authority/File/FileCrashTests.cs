using System.Diagnostics;
using System.Globalization;
using KvFs.Authority.Tests.Support;
using KvFs.Core;
using Xunit.Abstractions;

namespace KvFs.Authority.Tests.File;

/// <summary>Processes that share a map, and die.</summary>
public sealed class FileCrashTests(ITestOutputHelper output) : IDisposable
{
    /// <summary>Kills of a normal test; the environment's KVFS_ROUNDS asks for more.</summary>
    private const int DefaultRounds = 25;

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-authority-");

    private string Place => Path.Combine(folder.FullName, "map");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public async Task A_writer_killed_at_any_moment_leaves_the_old_map_or_the_new_one_and_all_that_it_answered()
    {
        int rounds = int.TryParse(Environment.GetEnvironmentVariable("KVFS_ROUNDS"), CultureInfo.InvariantCulture, out int asked)
            ? Math.Max(asked, DefaultRounds)
            : DefaultRounds;
        Random random = new(20_261_129);
        await using FileAuthority authority = new(Place);
        await TestPool.PutAsync(authority, TestPool.Found(nodes: 20, shards: 64));
        int ahead = 0;
        ulong revision = 1;
        for (int round = 0; round < rounds; round++)
        {
            using Process writer = Start(node: 1, changes: 0);
            ulong said = 0;
            for (int lines = random.Next(1, 30); lines > 0; lines--)
            {
                string line = (await writer.StandardOutput.ReadLineAsync(TestTime.Limit()))!;
                said = ulong.Parse(line, CultureInfo.InvariantCulture);
            }

            await MomentAsync(random.Next(3), said);
            writer.Kill();
            await writer.WaitForExitAsync(TestTime.Limit());
            while (await writer.StandardOutput.ReadLineAsync(TestTime.Limit()) is { } line)
            {
                // A line that the kill cut short is of a change that was made, too.
                said = Math.Max(said, ulong.Parse(line, CultureInfo.InvariantCulture));
            }

            AuthorityAnswer left = await authority.ReadAsync(TestTime.Limit());
            Assert.True(left.Outcome == AuthorityOutcome.Ok, $"round {round}: {left.Outcome} {left.Reason}");
            Assert.InRange(left.Map!.Revision, said, said + 1);
            Assert.True(left.Map.Revision > revision);
            revision = left.Map.Revision;
            ahead += revision > said ? 1 : 0;
        }

        output.WriteLine($"{rounds} kills, {revision} revisions, {ahead} times one that nobody had heard of");
    }

    [Fact]
    public async Task Several_processes_lose_no_change_and_a_watch_in_another_one_sees_the_last()
    {
        const int Writers = 3;
        const int Changes = 25;
        await using FileAuthority authority = new(Place, poll: TimeSpan.FromMilliseconds(10));
        await TestPool.PutAsync(authority, TestPool.Found());
        Process[] writers = [.. Enumerable.Range(1, Writers).Select(node => Start(node, Changes))];
        ulong seen = 0;
        await foreach (PoolMap map in authority.WatchAsync(0, TestTime.Limit()))
        {
            Assert.True(map.Revision > seen);
            seen = map.Revision;
            if (seen < 1 + (Writers * Changes)) { continue; }
            Assert.All(Enumerable.Range(1, Writers), node => Assert.Equal(Changes, TestPool.Count(map, node)));
            break;
        }

        foreach (Process writer in writers)
        {
            string errors = await writer.StandardError.ReadToEndAsync(TestTime.Limit());
            await writer.WaitForExitAsync(TestTime.Limit());
            Assert.Equal((0, ""), (writer.ExitCode, errors));
            writer.Dispose();
        }
    }

    /// <summary>Waits for a moment of a change: none, or while the new map is written, or once it stands there.</summary>
    private Task MomentAsync(int moment, ulong said) => Task.Run(() =>
    {
        CancellationToken limit = TestTime.Limit();
        MapFolder files = new(Place);
        while ((moment == 1 && !System.IO.File.Exists(Place + ".new"))
            || (moment == 2 && MapFile.PeekRevision(files.Read(MapFile.HeaderBytes)) <= said))
        {
            limit.ThrowIfCancellationRequested();
        }
    });

    private Process Start(int node, int changes) => Process.Start(new ProcessStartInfo(
        "dotnet", [typeof(MapWriter).Assembly.Location, Place, $"{node}", $"{changes}"])
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;
}
