using KvFs.House.Tests.Rules;

namespace KvFs.House.Tests;

public sealed class TestNamesTests
{
    [Fact]
    public void Every_test_is_named_by_a_sentence() =>
        Report.Nothing(Repository.CSharp.Where(SourceRules.IsTest).SelectMany(TestNames.Check));

    [Theory]
    [InlineData("[Fact]\npublic void Works() { }")]
    [InlineData("[Fact]\npublic void Read_works() { }")]
    [InlineData("[Fact]\npublic async Task TestReadOfABlock() { }")]
    [InlineData("[Theory]\n[InlineData(\"a(b);\")] public static void a_read_works_twice(int a) { }")]
    public void A_test_that_is_no_sentence_is_found(string planted) =>
        Report.Lines(TestNames.Check(new("tests/a/A.cs", planted)), 2);

    [Theory]
    [InlineData("[Fact]\npublic void A_read_sees_the_last_write() { }")]
    [InlineData("[Theory]\n[InlineData(1)]\npublic Task Every_block_is_read_back(int a) { }\nprivate void Check() { }")]
    [InlineData("[Fact] public void A_name_is_taken_once() => Check();\npublic void Dispose() { }")]
    public void A_sentence_and_what_is_no_test_are_left_alone(string planted) =>
        Report.Nothing(TestNames.Check(new("tests/a/A.cs", planted)));
}
