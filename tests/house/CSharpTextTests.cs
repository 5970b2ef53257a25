namespace KvFs.House.Tests;

public sealed class CSharpTextTests
{
    [Theory]
    [InlineData("a(); // lock (x)", "a();            ")]
    [InlineData("a(/* lock */ b);", "a(           b);")]
    [InlineData("a(\"lock\");", "a(      );")]
    [InlineData("a('\\'', 'b', '\\\\', '\"');", "a(    ,    ,     ,    );")]
    [InlineData("a(@\"x\\\", y);", "a(@    , y);")]
    [InlineData("a(@\"x\"\"y\", z);", "a(@      , z);")]
    [InlineData("a(\"x\\\"y\", z);", "a(      , z);")]
    [InlineData("a($\"x{y[\"k\"]}z\");", "a($   y[   ]   );")]
    [InlineData("a($\"{{x}}{y}\");", "a($       y  );")]
    [InlineData("a(\"\"\"x \"q\" y\"\"\");", "a(             );")]
    [InlineData("a($$\"\"\"{x}{{y}}\"\"\");", "a($$        y     );")]
    [InlineData("a(\"\", @b);", "a(  , @b);")]
    public void Only_code_is_left_and_every_offset_stays(string source, string expected) =>
        Assert.Equal(expected, CSharpText.CodeOf(source));

    [Fact]
    public void Line_ends_inside_a_comment_stay_so_that_findings_name_the_right_line()
    {
        string code = CSharpText.CodeOf("/* one\n two */\nlock (x) { }");
        Assert.Equal(3, CSharpText.LineOf(code, code.IndexOf("lock", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("\"")]
    [InlineData("'")]
    [InlineData("$\"{")]
    [InlineData("/*")]
    [InlineData("\"\"\"")]
    [InlineData("'\\")]
    [InlineData("@")]
    public void Source_that_ends_too_early_is_read_to_its_end(string source) =>
        Assert.Equal(source.Length, CSharpText.CodeOf(source).Length);
}
