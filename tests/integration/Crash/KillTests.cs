using System.Globalization;
using KvFs.Integration.Tests.Drives;
using Xunit.Abstractions;

namespace KvFs.Integration.Tests.Crash;

/// <summary>SIGKILL for the real server at random moments, under a load of writers that sync: what was acknowledged is there.
/// </summary>
/// <remarks>KVFS_ROUNDS=n: that many rounds instead of a hundred; KVFS_SEED=n: other moments and writes.</remarks>
public sealed class KillTests(ITestOutputHelper output)
{
    private const int DefaultRounds = 100;
    private const int Writers = 3;

    /// <summary>Acknowledged steps of all writers in one round before the kill, at most.</summary>
    private const int MaxSteps = 150;

    [Fact]
    public async Task What_was_synced_is_there_after_a_kill_and_the_drive_is_sound()
    {
        int seed = Number("KVFS_SEED", 1);
        int rounds = Number("KVFS_ROUNDS", DefaultRounds);
        Random random = new(seed);
        using TestFolder folder = new();
        List<SyncingWriter> writers =
        [
            .. Enumerable.Range(0, Writers).Select(i => new SyncingWriter(Path.Combine(folder.Mount, $"w{i}"), seed + i)),
        ];
        for (int round = 1; round <= rounds; round++)
        {
            using Victim victim = await Victim.StartAsync(folder);
            await VerifyAsync(victim, writers, string.Create(CultureInfo.InvariantCulture, $"KVFS_SEED={seed}, round {round}"));
            await LoadAndKillAsync(victim, writers, random.Next(1, MaxSteps));
        }

        using Victim last = await Victim.StartAsync(folder);
        await VerifyAsync(last, writers, $"KVFS_SEED={seed}, after the last round");
        await last.StopAsync();
        output.WriteLine(
            $"{rounds} kills, {writers.Sum(static writer => writer.Acknowledged)} synced steps acknowledged, "
            + $"{writers.Sum(static writer => writer.Unanswered)} without an answer, "
            + $"{writers.Sum(static writer => writer.Compared)} times data compared, none lost");
    }

    /// <summary>Everything that was acknowledged before the server was killed.</summary>
    private static async Task VerifyAsync(Victim victim, List<SyncingWriter> writers, string place)
    {
        foreach (SyncingWriter writer in writers) { writer.Verify(place); }
        await victim.CheckAsync(place);
    }

    private static async Task LoadAndKillAsync(Victim victim, List<SyncingWriter> writers, int steps)
    {
        using CountdownEvent acknowledged = new(steps);
        using CancellationTokenSource deadline = new(RealProgram.Deadline);
        Task[] running =
        [
            .. writers.Select(writer => Task.Factory.StartNew(
                () => writer.RunUntilKilled(() => Count(acknowledged)), TaskCreationOptions.LongRunning)),
        ];
        try
        {
            acknowledged.Wait(deadline.Token);
        }
        finally
        {
            victim.Kill();
        }

        await Task.WhenAll(running).WaitAsync(RealProgram.Deadline);
    }

    /// <summary>One step more; those after the kill was decided do not count.</summary>
    private static void Count(CountdownEvent acknowledged)
    {
        if (!acknowledged.IsSet)
        {
            try
            {
                acknowledged.Signal();
            }
            catch (InvalidOperationException)
            {
                // Another writer made the last step in between.
            }
        }
    }

    private static int Number(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number)
            ? number
            : otherwise;
}
