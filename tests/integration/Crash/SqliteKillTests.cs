using System.Globalization;
using KvFs.Integration.Tests.Drives;
using KvFs.Integration.Tests.Programs;
using Xunit.Abstractions;

namespace KvFs.Integration.Tests.Crash;

/// <summary>sqlite3 in WAL mode, and the server that has its database is killed: what sqlite said it had committed is there.
/// </summary>
public sealed class SqliteKillTests(ITestOutputHelper output)
{
    private const int Rounds = 4;
    private const int MostRows = 120;

    /// <summary>Pages of the log after which sqlite writes them into the database: few, so that kills meet it doing that.</summary>
    private const string OftenCheckpointed = "pragma wal_autocheckpoint=8;";

    [Fact]
    public async Task Every_committed_row_is_there_after_kills_of_the_server_and_the_database_is_sound()
    {
        const int seed = 11;
        Random random = new(seed);
        using TestFolder folder = new();
        int committed = 0;
        for (int round = 1; round <= Rounds; round++)
        {
            using Victim victim = await Victim.StartAsync(folder);
            if (round == 1)
            {
                Assert.Equal("wal\n", Query(folder, $"pragma journal_mode=wal; {SqliteRows.Table}"));
            }

            committed = await VerifyAsync(victim, folder, committed, string.Create(CultureInfo.InvariantCulture, $"Seed {seed}, round {round}"));
            committed = await CommitAndKillAsync(victim, folder, committed, random.Next(1, MostRows));
        }

        using Victim last = await Victim.StartAsync(folder);
        int kept = await VerifyAsync(last, folder, committed, $"Seed {seed}, after the last round");
        await last.StopAsync();
        output.WriteLine($"{Rounds} kills, {kept} rows committed, none lost");
    }

    /// <summary>Commits rows one by one, and kills the server while the next one is on its way.</summary>
    /// <returns>The rows that sqlite has said are committed.</returns>
    private static Task<int> CommitAndKillAsync(Victim victim, TestFolder folder, int committed, int rows) => SqliteRows.CommitUntilKilledAsync(
        folder.Mount,
        $".output /dev/null\npragma synchronous=full; {OftenCheckpointed}\n.output stdout",
        committed,
        rows,
        static row => $"'{TextOf(row)}'",
        victim.Kill);

    /// <summary>Fails unless the database is sound and has every committed row as it was written, and at most the one more that had
    /// no answer.</summary>
    /// <returns>The rows that are there.</returns>
    private static async Task<int> VerifyAsync(Victim victim, TestFolder folder, int committed, string place)
    {
        Assert.True(Query(folder, "pragma integrity_check;") == "ok\n", place);
        string[] rows = Query(folder, "select number, text from rows order by number;").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(
            rows.Length == committed || rows.Length == committed + 1, $"{place}: {rows.Length} rows are there, {committed} are committed.");
        for (int row = 1; row <= rows.Length; row++)
        {
            string expected = string.Create(CultureInfo.InvariantCulture, $"{row}|{TextOf(row)}");
            Assert.True(rows[row - 1] == expected, $"{place}: row {row} is {rows[row - 1]}");
        }

        await victim.CheckAsync(place);
        return rows.Length;
    }

    /// <summary>Between a few bytes and more than a page.</summary>
    private static string TextOf(int row)
    {
        Random random = new(row);
        byte[] bytes = new byte[random.Next(1, 3000)];
        random.NextBytes(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    private static string Query(TestFolder folder, string statements) =>
        RealProgram.Run(folder.Mount, "sqlite3", "-bail", "-batch", SqliteRows.Database, statements);
}
