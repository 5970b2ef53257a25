using KvFs.House.Tests.Rules;

namespace KvFs.House.Tests;

public sealed class SourceRulesTests
{
    [Fact]
    public void No_source_has_what_the_house_forbids() =>
        Report.Nothing(Repository.CSharp.SelectMany(SourceRules.CheckCode));

    [Fact]
    public void No_source_makes_a_promise_in_a_comment() =>
        Report.Nothing(Repository.Files.SelectMany(SourceRules.CheckPromises));

    [Fact]
    public void No_file_is_longer_than_one_idea() => Report.Nothing(Repository.Files.SelectMany(SourceRules.CheckLength));

    [Fact]
    public void No_file_or_folder_is_a_drawer_for_anything() =>
        Report.Nothing(Repository.Files.SelectMany(SourceRules.CheckName));

    [Fact]
    public void No_test_is_skipped_without_a_reason() =>
        Report.Nothing(Repository.CSharp.Where(SourceRules.IsTest).SelectMany(SourceRules.CheckSkips));

    [Theory]
    [InlineData("throw new NotImplementedException();")]
    [InlineData("public async void Start() { }")]
    [InlineData("public async  void Start() { }")]
    [InlineData("#region x")]
    [InlineData("int a = ReadAsync().Result;")]
    [InlineData("task.Wait();")]
    [InlineData("task.GetAwaiter().GetResult();")]
    public void A_forbidden_construct_in_shipped_code_is_found(string planted) =>
        Report.Lines(SourceRules.CheckCode(Shipped($"\n{planted}\n")), 2);

    [Theory]
    [InlineData("// throw new NotImplementedException();")]
    [InlineData("string a = \"task.Wait();\";")]
    [InlineData("gate.Wait(token);")]
    [InlineData("int a = Results.Resulting;")]
    [InlineData("gate.Wait(); // House: the committer's own thread, woken at every stop.")]
    public void What_only_looks_like_it_is_left_alone(string planted) =>
        Report.Nothing(SourceRules.CheckCode(Shipped(planted)));

    [Fact]
    public void A_reason_does_not_excuse_a_stub() =>
        Report.Lines(SourceRules.CheckCode(Shipped("// House: because it is late today.\nnew NotImplementedException();")), 2);

    [Theory]
    [InlineData("Thread.Sleep(10);")]
    [InlineData("await Task.Delay(10);")]
    public void A_sleep_in_a_test_is_found(string planted) =>
        Report.Lines(SourceRules.CheckCode(new("tests/node/ATests.cs", $"\n\n{planted}")), 3);

    [Fact]
    public void A_test_class_whose_clean_up_nobody_calls_is_found() =>
        Report.Lines(SourceRules.CheckCode(new("tests/node/ATests.cs", "\nsealed class ATests : IAsyncDisposable\n{ }")), 2);

    [Theory]
    [InlineData("a.cs", "// TO-DO: later")]
    [InlineData("a.sh", "# FIX-ME")]
    [InlineData("Makefile", "# HA-CK around make")]
    public void A_promise_is_found(string path, string planted) =>
        Report.Lines(SourceRules.CheckPromises(new(path, planted.Replace("-", "", StringComparison.Ordinal))), 1);

    [Fact]
    public void A_file_one_line_too_long_is_found()
    {
        string longest = string.Concat(Enumerable.Repeat("//\n", SourceRules.MaxLines));
        Report.Nothing(SourceRules.CheckLength(Shipped(longest)));
        Report.Lines(SourceRules.CheckLength(Shipped(longest + "//\n")), SourceRules.MaxLines);
    }

    [Theory]
    [InlineData("lib/Utils/A.cs")]
    [InlineData("lib/core/StringHelpers.cs")]
    [InlineData("lib/common/A.cs")]
    [InlineData("build/misc.sh")]
    public void A_drawer_for_anything_is_found(string path) => Report.Lines(SourceRules.CheckName(new(path, "")), 1);

    [Theory]
    [InlineData("lib/core/CommonPrefix.cs")]
    [InlineData("lib/core/Uncommon.cs")]
    public void A_name_that_says_something_is_left_alone(string path) =>
        Report.Nothing(SourceRules.CheckName(new(path, "")));

    [Fact]
    public void A_skip_without_a_reason_is_found() =>
        Report.Lines(
            SourceRules.CheckSkips(new("tests/a/A.cs", "[Fact(Skip = \"\")]\n[Fact(Skip = Later)]\n[Fact(Skip = \"needs a second disk\")]")),
            1, 2);

    private static SourceFile Shipped(string text) => new("lib/core/A.cs", text);
}
