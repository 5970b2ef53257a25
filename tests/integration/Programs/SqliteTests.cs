using System.Globalization;
using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.Programs;

/// <summary>sqlite3 in WAL mode: byte-range locks, a shared memory map, and syncs in the right order.</summary>
public sealed class SqliteTests
{
    private const int Kills = 3;
    private const int RowsBeforeKill = 25;

    [Fact]
    public async Task A_database_in_WAL_mode_outlives_the_death_of_its_writer_with_every_committed_row()
    {
        await using RestartableDrive drive = await RestartableDrive.StartAsync();
        Assert.Equal("wal\n", Query(
            drive, $"pragma journal_mode=wal; {SqliteRows.Table}"));
        int committed = 0;
        for (int kill = 0; kill < Kills; kill++)
        {
            committed = await WriteAndKillAsync(drive, committed);
            Assert.Equal("ok\n", Query(drive, "pragma integrity_check;"));
            int kept = int.Parse(Query(drive, "select count(*) from rows;"), CultureInfo.InvariantCulture);
            Assert.InRange(kept, committed, committed + 1);
            committed = kept;
        }

        await drive.RestartAsync();
        Assert.Equal("ok\n", Query(drive, "pragma integrity_check;"));
        Assert.Equal($"{committed}\n", Query(drive, "select count(*) from rows;"));
    }

    [Fact]
    public async Task Two_writers_of_one_database_wait_for_each_other_and_lose_nothing()
    {
        await using RestartableDrive drive = await RestartableDrive.StartAsync();
        Query(drive, "pragma journal_mode=wal; create table rows(writer integer);");
        await Task.WhenAll(Enumerable.Range(0, 2).Select(writer => Task.Run(() => Query(
            drive,
            ".timeout 60000\n" + string.Concat(Enumerable.Repeat($"insert into rows values({writer});\n", 50))))));
        Assert.Equal("0|50\n1|50\n", Query(drive, "select writer, count(*) from rows group by writer order by writer;"));
    }

    /// <summary>Inserts rows, each a transaction that sqlite says it has committed, and kills sqlite amid the next.</summary>
    /// <returns>The rows that are committed for certain.</returns>
    private static Task<int> WriteAndKillAsync(RestartableDrive drive, int committed) => SqliteRows.CommitUntilKilledAsync(
        drive.Path, "pragma synchronous=full;", committed, RowsBeforeKill, static _ => "hex(randomblob(500))", static () => { });

    private static string Query(RestartableDrive drive, string statements)
    {
        string script = Path.GetTempFileName();
        try
        {
            File.WriteAllText(script, statements);
            return RealProgram.Run(drive.Path, "sqlite3", "-bail", "-batch", SqliteRows.Database, $".read {script}");
        }
        finally
        {
            File.Delete(script);
        }
    }
}
