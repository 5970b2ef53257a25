using KvFs.Cli.Control;
using KvFs.Cli.Output;

namespace KvFs.Cli.Tests.Output;

public sealed class TableViewTests
{
    [Fact]
    public void Without_a_terminal_a_table_is_plain_columns()
    {
        TableView table = new(new("Name"), new("Used", IsNumber: true), new("Mounted on"));
        table.Add("main", "1.5 KiB", "/mnt/kvfs");
        table.Add("a-long-name", "0 B", "-");
        using StringWriter output = new();
        table.Write(output);
        Assert.Equal(
            """
            NAME            USED  MOUNTED ON
            main         1.5 KiB  /mnt/kvfs
            a-long-name      0 B  -

            """,
            output.ToString());
    }

    [Theory]
    [InlineData(0, null, "checking …")]
    [InlineData(12, null, "checking: 12")]
    [InlineData(1, 2, "checking ████████████░░░░░░░░░░░░  50 %")]
    [InlineData(9, 2, "checking ████████████████████████ 100 %")]
    public void Progress_is_a_bar_where_the_end_is_known(int done, int? total, string expected) =>
        Assert.Equal(expected, ProgressLine.Text(new ProgressReport("checking", done, total)));
}
