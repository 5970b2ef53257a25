using System.Diagnostics;
using System.Runtime.Versioning;
using KvFs.House.Tests.Rules;

namespace KvFs.House.Tests;

[SupportedOSPlatform("linux")]
public sealed class PortabilityTests
{
    private static readonly TimeSpan ScriptCheckTime = TimeSpan.FromSeconds(30);

    public static TheoryData<string> Scripts =>
        [.. Repository.Files.Where(IsShellScript).Select(file => file.Path)];

    [Fact]
    public void No_file_names_a_path_of_one_machine_or_a_package_source() =>
        Report.Nothing(Repository.Files.SelectMany(Portability.Check));

    [Theory]
    [InlineData("cd /wo-rk/main")]
    [InlineData("x = \"/tmp/k-v/hub\"")]
    [InlineData("/ho-me/somebody/x")]
    [InlineData("https://api.nuget.o-rg/v3")]
    [InlineData("https://example.org/v3/ind-ex.json")]
    public void A_planted_path_or_host_is_found(string planted) =>
        Report.Lines(Portability.Check(new("a.md", $"\n{planted.Replace("-", "", StringComparison.Ordinal)}")), 2);

    [Theory]
    [InlineData("artifacts/wo-rk/x")]
    [InlineData("/tmp/k-vfs-bench")]
    [InlineData("$HOME/data")]
    public void A_path_that_any_machine_has_is_left_alone(string planted) =>
        Report.Nothing(Portability.Check(new("a.md", planted.Replace("-", "", StringComparison.Ordinal))));

    [Theory]
    [MemberData(nameof(Scripts))]
    public void Every_shell_script_is_read_by_bash_without_complaint(string path) =>
        Assert.Equal(string.Empty, ComplaintOfBash(File.ReadAllText(Path.Combine(Repository.Root, path))));

    [Theory]
    [MemberData(nameof(Scripts))]
    public void Every_shell_script_can_be_executed_and_names_its_shell(string path)
    {
        string full = Path.Combine(Repository.Root, path);
        Assert.StartsWith("#!/usr/bin/env bash\n", File.ReadAllText(full), StringComparison.Ordinal);
        Assert.True(File.GetUnixFileMode(full).HasFlag(UnixFileMode.UserExecute), $"chmod +x {path}");
    }

    [Fact]
    public void A_script_with_a_missing_end_is_found() => Assert.NotEmpty(ComplaintOfBash("if true; then echo; "));

    private static bool IsShellScript(SourceFile file) => file.Extension == ".sh" || file.Path == ".ci/run";

    private static string ComplaintOfBash(string script)
    {
        ProcessStartInfo start = new("bash", "-n")
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
        };
        using Process bash = Process.Start(start)!;
        bash.StandardInput.Write(script);
        bash.StandardInput.Close();
        string complaint = bash.StandardError.ReadToEnd();
        Assert.True(bash.WaitForExit(ScriptCheckTime), "bash -n did not end");
        return complaint;
    }
}
