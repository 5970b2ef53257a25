using System.Diagnostics;

namespace KvFs.House.Tests;

/// <summary>The programs that judge test runs must not call a failure a success: each is fed planted results.</summary>
public sealed class ToolsTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-house-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void The_sum_adds_up_all_projects_and_names_what_failed()
    {
        PlantResults("one", exitCode: 0, "Passed", "Passed", "NotExecuted");
        PlantResults("two", exitCode: 1, "Passed", "Failed");
        (int code, string output) = Run("build/sum-tests.py", folder.FullName);
        Assert.Equal(1, code);
        Assert.Equal("3 passed, 1 failed, 1 skipped", LastLine(output));
        Assert.Contains("FAILED two-1", output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_sum_of_passing_tests_is_a_success()
    {
        PlantResults("one", exitCode: 0, "Passed");
        (int code, string output) = Run("build/sum-tests.py", folder.FullName);
        Assert.Equal((0, "1 passed, 0 failed, 0 skipped"), (code, LastLine(output)));
    }

    [Theory]
    [InlineData(134, "Passed")]  // The host crashed after a test had passed.
    [InlineData(124)]            // The host was stopped before it wrote anything.
    [InlineData(0)]              // There are tests, and none ran.
    public void A_run_that_proves_nothing_counts_as_a_failure(int exitCode, params string[] outcomes)
    {
        PlantResults("one", exitCode, outcomes);
        (int code, string output) = Run("build/sum-tests.py", folder.FullName);
        Assert.Equal((1, $"{outcomes.Length} passed, 1 failed, 0 skipped"), (code, LastLine(output)));
    }

    [Fact]
    public void No_run_at_all_counts_as_a_failure() =>
        Assert.Equal("0 passed, 1 failed, 0 skipped", LastLine(Run("build/sum-tests.py", folder.FullName).Output));

    [Theory]
    [InlineData("echo 1..2; echo ok 1; echo ok 2", "", 0)]
    [InlineData("echo 1..2; echo ok 1; echo not ok 2", "", 1)]
    [InlineData("echo 1..2; echo ok 1", "", 1)]                                              // Ended early.
    [InlineData("exit 0", "", 1)]                                                            // Asserted nothing.
    [InlineData("echo 1..2; echo ok 1; echo not ok 2", "| `open/00.t:2` | as POSIX says |", 0)]
    [InlineData("echo 1..2; echo ok 1; echo ok 2", "| `open/00.t:2` | as POSIX says |", 1)]  // Excused, yet passes.
    [InlineData("echo 1..2; echo ok 1; echo not ok 2", "| `open/00.t:2` | |", 1)]            // Excused without a reason.
    public void A_conformance_run_passes_only_when_exactly_what_is_expected_fails(string script, string row, int expected)
    {
        string suite = folder.CreateSubdirectory("suite/tests/open").FullName;
        File.WriteAllText(Path.Combine(suite, "00.t"), script + "\n");
        string excuses = Path.Combine(folder.FullName, "expected.md");
        File.WriteAllText(excuses, $"| assertion | reason |\n| --- | --- |\n{row}\n");
        (int code, _) = Run("tests/conformance/pjdfstest.py", Path.Combine(folder.FullName, "suite"), excuses, folder.FullName);
        Assert.Equal(expected, code);
    }

    private void PlantResults(string name, int exitCode, params string[] outcomes)
    {
        File.AppendAllText(Path.Combine(folder.FullName, "exits"), $"{name} {exitCode}\n");
        string results = string.Concat(outcomes.Select((outcome, index) =>
            $"<UnitTestResult testName=\"{name}-{index}\" outcome=\"{outcome}\" />"));
        if (exitCode == 124) { return; }
        File.WriteAllText(
            Path.Combine(folder.FullName, $"{name}.trx"),
            "<TestRun xmlns=\"http://microsoft.com/schemas/VisualStudio/TeamTest/2010\">"
            + $"<Results>{results}</Results></TestRun>");
    }

    private static string LastLine(string output) => output.TrimEnd('\n').Split('\n')[^1];

    private static (int Code, string Output) Run(string script, params string[] arguments)
    {
        ProcessStartInfo start = new("python3", [Path.Combine(Repository.Root, script), .. arguments])
        {
            RedirectStandardOutput = true,
        };
        using Process python = Process.Start(start)!;
        string output = python.StandardOutput.ReadToEnd();
        python.WaitForExit();
        return (python.ExitCode, output);
    }
}
