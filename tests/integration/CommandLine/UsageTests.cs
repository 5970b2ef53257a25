using System.Text.Json;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary>Commands that cannot do what they are asked, without any process running.</summary>
public sealed class UsageTests : IAsyncLifetime
{
    private Installation Here { get; } = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await Here.DisposeAsync();

    [Theory]
    [InlineData("nonsense")]
    [InlineData("drive")]
    [InlineData("drive", "create")]
    [InlineData("drive", "create", "Not_A_Name")]
    [InlineData("drive", "create", "a", "--size", "many")]
    [InlineData("drive", "resize", "main")]
    [InlineData("status", "--output", "xml")]
    [InlineData("up", "--mount", "x", "--no-mount")]
    [InlineData("up", "--metrics", "here")]
    [InlineData("fsck", "--repair")]
    [InlineData("bench", "/", "--size", "1")]
    [InlineData("help", "nonsense")]
    public async Task A_wrong_command_line_ends_with_code_2_and_a_way_on(params string[] arguments)
    {
        Outcome outcome = await Here.RunAsync(arguments);
        Assert.True(outcome.Code == 2, outcome.ToString());
        Assert.StartsWith("kvfs: ", outcome.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("down")]
    [InlineData("status")]
    [InlineData("drive", "list")]
    [InlineData("snapshot", "list", "main")]
    [InlineData("clone", "main", "copy")]
    [InlineData("mount", "main", "/nowhere")]
    [InlineData("umount", "/nowhere")]
    [InlineData("df")]
    [InlineData("fsck")]
    public async Task Without_a_process_a_command_ends_with_code_7_and_says_how_to_start_one(params string[] arguments)
    {
        Outcome outcome = await Here.RunAsync(arguments);
        Assert.Equal(7, outcome.Code);
        Assert.Contains($"kvfs up --data {Here.Data}", outcome.Errors, StringComparison.Ordinal);

        Outcome json = await Here.RunAsync([.. arguments, "-o", "json"]);
        Assert.Empty(json.Output);
        JsonElement error = JsonDocument.Parse(json.Errors).RootElement.GetProperty("error");
        Assert.Equal("notRunning", error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task An_offline_check_of_a_folder_that_is_not_there_ends_with_code_3()
    {
        Assert.Equal(3, (await Here.RunAsync("fsck", "--offline")).Code);
        Assert.False(Directory.Exists(Here.Data));
    }

    [Theory]
    [InlineData("help")]
    [InlineData("help", "drive", "create")]
    [InlineData("--help")]
    [InlineData("up", "--help")]
    [InlineData("snapshot", "restore", "--help")]
    public async Task Help_has_examples(params string[] arguments)
    {
        Outcome outcome = await Kvfs.RunAsync(arguments);
        Assert.Equal(0, outcome.Code);
        Assert.Contains("Examples:", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Version_and_exit_codes_are_there_for_people_and_programs()
    {
        Assert.StartsWith("kvfs ", (await Kvfs.RunAsync("version")).Output, StringComparison.Ordinal);
        Assert.NotEmpty((await Kvfs.RunAsync("version", "-o", "json")).Json.GetProperty("version").GetString()!);
        JsonElement codes = (await Kvfs.RunAsync("help", "exit-codes", "-o", "json")).Json;
        Assert.Contains(codes.GetProperty("exitCodes").EnumerateArray(), code =>
            code.GetProperty("number").GetInt32() == 7 && code.GetProperty("name").GetString() == "notRunning");
    }

    [Theory]
    [InlineData("bash", "bash", "-n")]
    [InlineData("zsh", "", "")]
    [InlineData("fish", "", "")]
    public async Task The_script_for_a_shell_is_printed_and_bash_can_read_its_own(string shell, string checker, string option)
    {
        Outcome outcome = await Kvfs.RunAsync("completion", shell);
        Assert.Equal(0, outcome.Code);
        Assert.Contains("[suggest:", outcome.Output, StringComparison.Ordinal);
        if (checker.Length == 0) { return; }
        string script = Path.Combine(Here.Folder, "completion");
        await File.WriteAllTextAsync(script, outcome.Output);
        using System.Diagnostics.Process check = System.Diagnostics.Process.Start(checker, [option, script]);
        await check.WaitForExitAsync();
        Assert.Equal(0, check.ExitCode);
    }
}
