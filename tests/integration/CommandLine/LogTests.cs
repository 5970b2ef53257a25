using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using CliCalls = KvFs.Cli.Native.Posix;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary>Logs for programs: every line is an object that has a time, a level, where it comes from, and a message.</summary>
public sealed class LogTests : IAsyncLifetime
{
    private Installation Here { get; } = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await Here.DisposeAsync();

    [Fact]
    public async Task In_the_foreground_json_is_for_who_asks_and_nothing_else_is_on_standard_error()
    {
        using Process up = Kvfs.Start(
            "up", "--data", Here.Data, "--mount", Here.Mount, "--metrics", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug");
        Assert.Equal($"kvfs is up (pid {up.Id}).", await up.StandardOutput.ReadLineAsync());
        await File.WriteAllTextAsync(Here.At("file"), "content");
        Assert.Equal(0, CliCalls.kill(up.Id, CliCalls.SigTerm));
        Outcome outcome = await Kvfs.EndAsync(up);
        Assert.True(outcome.Code == 0, outcome.ToString());
        ExpectLines(outcome.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task In_the_background_the_log_file_has_json_from_the_first_line_to_the_last()
    {
        await Here.UpAsync();
        await Here.DownAsync();
        ExpectLines(await File.ReadAllLinesAsync(Path.Combine(Here.Data, "kvfs.log")));
    }

    [Fact]
    public async Task Text_is_for_people_one_line_each()
    {
        using Process up = Kvfs.Start("up", "--data", Here.Data, "--no-mount", "--metrics", "off", "--log-format", "text");
        Assert.Equal($"kvfs is up (pid {up.Id}).", await up.StandardOutput.ReadLineAsync());
        Assert.Equal(0, CliCalls.kill(up.Id, CliCalls.SigTerm));
        Outcome outcome = await Kvfs.EndAsync(up);
        string[] lines = outcome.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(lines, static line => Assert.Matches("^[0-9]{2}:[0-9]{2}:[0-9]{2} (dbug|info|warn|fail|crit): ", line));
        Assert.Contains(lines, line => line.Contains($"Serving {Here.Data}", StringComparison.Ordinal));
    }

    private void ExpectLines(string[] lines)
    {
        List<string> messages = [];
        foreach (string line in lines)
        {
            using JsonDocument parsed = JsonDocument.Parse(line);
            JsonElement entry = parsed.RootElement;
            DateTimeOffset time = DateTimeOffset.ParseExact(
                entry.GetProperty("Timestamp").GetString()!, "O", CultureInfo.InvariantCulture);
            Assert.Equal(TimeSpan.Zero, time.Offset);
            Assert.True(Enum.TryParse(entry.GetProperty("LogLevel").GetString(), out LogLevel level) && level < LogLevel.None, line);
            Assert.NotEmpty(entry.GetProperty("Category").GetString()!);
            messages.Add(entry.GetProperty("Message").GetString()!);
        }

        Assert.DoesNotContain(string.Empty, messages);
        Assert.Contains(messages, message => message.StartsWith($"Serving {Here.Data}", StringComparison.Ordinal));
        Assert.Contains(messages, message => message == $"Drive main is mounted on {Here.Mount}.");
        Assert.Contains($"The node on {Here.Data} is closed.", messages);
    }
}
