using Spectre.Console;

namespace KvFs.Cli.Output;

/// <summary>A table: with lines and colours on a terminal, else in plain columns that <c>awk</c> can read.</summary>
internal sealed class TableView(params TableView.Column[] columns)
{
    private readonly List<string[]> rows = [];

    /// <param name="Title">The heading.</param>
    /// <param name="IsNumber">Aligned to the right.</param>
    public readonly record struct Column(string Title, bool IsNumber = false);

    public void Add(params string[] cells) => rows.Add(cells);

    public void Write(TextWriter output)
    {
        bool isForPeople = Terminal.OutputIsTerminal && ReferenceEquals(output, Console.Out)
            && WidthWithLines() <= Terminal.Width;
        if (isForPeople) { WriteForPeople(); }
        else { WritePlain(output); }
    }

    private void WriteForPeople()
    {
        Table table = new() { Border = TableBorder.Rounded };
        foreach (Column column in columns)
        {
            TableColumn shown = new(new Text(column.Title, new Style(decoration: Decoration.Bold))) { NoWrap = true };
            table.AddColumn(column.IsNumber ? shown.RightAligned() : shown);
        }
        foreach (string[] row in rows) { table.AddRow(row.Select(cell => new Text(cell))); }
        Terminal.CreateOutputConsole().Write(table);
    }

    /// <summary>Columns as wide as their longest cell, two blanks between, none at a line's end.</summary>
    private void WritePlain(TextWriter output)
    {
        string[] titles = [.. columns.Select(column => column.Title.ToUpperInvariant())];
        int[] widths = Widths();
        foreach (string[] row in rows.Prepend(titles))
        {
            IEnumerable<string> cells = row.Select((cell, at) =>
                columns[at].IsNumber ? cell.PadLeft(widths[at]) : cell.PadRight(widths[at]));
            output.WriteLine(string.Join("  ", cells).TrimEnd());
        }
    }

    private int[] Widths() =>
        [.. columns.Select((column, at) => rows.Select(row => row[at].Length).Append(column.Title.Length).Max())];

    /// <summary>A line and a blank on each side of every cell. A table that is wider than the terminal is printed plain:
    /// broken cells are harder to read than broken lines.</summary>
    private int WidthWithLines() => Widths().Sum(width => width + 3) + 1;
}
