using System.Diagnostics;
using System.Globalization;
using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.Programs;

/// <summary>Rows that sqlite3 writes into a database, each a transaction, until something dies.</summary>
internal static class SqliteRows
{
    public const string Database = "rows.db";

    public const string Table = "create table rows(number integer primary key, text text not null);";

    /// <summary>Inserts rows, each of which sqlite says it has committed, and ends sqlite, after whatever else is to die, amid the next.</summary>
    /// <param name="folder">Where the database is.</param>
    /// <param name="setup">What sqlite is told first; it is to print nothing.</param>
    /// <param name="committed">Rows that are there already.</param>
    /// <param name="rows">Rows before the end.</param>
    /// <param name="textOf">The SQL of a row's text.</param>
    /// <param name="kill">Ends what else is to die.</param>
    /// <returns>The rows that are committed for certain.</returns>
    public static async Task<int> CommitUntilKilledAsync(
        string folder, string setup, int committed, int rows, Func<int, string> textOf, Action kill)
    {
        using Process sqlite = RealProgram.Start(folder, "sqlite3", "-bail", "-batch", Database);
        using CancellationTokenSource deadline = new(RealProgram.Deadline);
        try
        {
            await sqlite.StandardInput.WriteLineAsync(setup);
            for (int row = 0; row < rows; row++)
            {
                await InsertAsync(sqlite, committed + 1, textOf, deadline.Token);
                string? answer = await sqlite.StandardOutput.ReadLineAsync(deadline.Token);
                committed++;
                Assert.Equal(committed.ToString(CultureInfo.InvariantCulture), answer);
            }

            await InsertAsync(sqlite, committed + 1, textOf, deadline.Token);
        }
        finally
        {
            kill();
            sqlite.Kill();
            await sqlite.WaitForExitAsync(deadline.Token);
        }

        return committed;
    }

    private static async Task InsertAsync(Process sqlite, int row, Func<int, string> textOf, CancellationToken cancel)
    {
        string insert = string.Create(CultureInfo.InvariantCulture, $"insert into rows values({row}, {textOf(row)}); select {row};\n");
        await sqlite.StandardInput.WriteAsync(insert.AsMemory(), cancel);
        await sqlite.StandardInput.FlushAsync(cancel);
    }
}
