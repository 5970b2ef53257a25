using System.Diagnostics;
using System.Text.Json;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using CliCalls = KvFs.Cli.Native.Posix;

namespace KvFs.Integration.Tests.CommandLine;

public sealed class UpAndDownTests : IAsyncLifetime
{
    private Installation Here { get; } = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await Here.DisposeAsync();

    [Fact]
    public async Task Files_are_there_again_after_down_and_up()
    {
        await Here.UpAsync("--size", "1GiB");
        await File.WriteAllTextAsync(Here.At("file"), "content");
        await Here.DownAsync();
        Assert.False(Installation.IsMounted(Here.Mount));
        Assert.False(File.Exists(Path.Combine(Here.Data, "control.sock")));

        await Here.UpAsync();
        Assert.Equal("content", await File.ReadAllTextAsync(Here.At("file")));
        JsonElement drive = await Here.AskAsync("drive", "show", "main");
        Assert.Equal(1UL << 30, drive.GetProperty("quotaBytes").GetUInt64());
    }

    [Fact]
    public async Task After_a_kill_the_next_up_replaces_the_dead_mount_and_has_what_was_synced()
    {
        await Here.UpAsync();
        byte[] content = new byte[300_000];
        new Random(7).NextBytes(content);
        await using (FileStream file = new(Here.At("synced"), FileMode.CreateNew))
        {
            await file.WriteAsync(content);
            file.Flush(flushToDisk: true);
        }
        await Here.KillAsync();
        Assert.True(Installation.IsMounted(Here.Mount));
        Assert.Equal(7, (await Here.RunAsync("status")).Code);

        await Here.UpAsync();
        Assert.Equal(content, await File.ReadAllBytesAsync(Here.At("synced")));
        JsonElement check = await Here.AskAsync("fsck", "--read-bytes");
        Assert.True(check.GetProperty("clean").GetBoolean());
        Assert.True(check.GetProperty("bytes").GetInt64() >= content.Length);
    }

    [Fact]
    public async Task A_second_process_on_a_data_folder_is_refused_and_told_the_first_ones_pid()
    {
        await Here.UpAsync();
        Outcome second = await Here.RunAsync("up", "--mount", Here.Mount + "-2");
        Assert.Equal(5, second.Code);
        Assert.Contains($"pid {Here.Pid}", second.Errors, StringComparison.Ordinal);

        Outcome check = await Here.RunAsync("fsck", "--offline");
        Assert.Equal(5, check.Code);
        Assert.Equal("running", (await Here.AskAsync("status")).GetProperty("state").GetString());
    }

    [Fact]
    public async Task A_stop_during_the_start_comes_behind_it()
    {
        using ControlClient client = new(Here.Data);
        Task<StopReport>? stop = null;
        TaskCompletionSource asked = new();
        Reports starting = new(report =>
        {
            if (stop is not null || !report.Activity.StartsWith("making drive", StringComparison.Ordinal)) { return; }
            stop = client.StopAsync(new(Force: false), new Reports(_ => asked.TrySetResult()), CancellationToken.None);
            asked.Task.Wait();
        });
        ServerOptions options = new(Here.Data, "main", Here.Mount, null, ReadOnly: false, Shared: false, new(null, MayMove: false));
        await using NodeServer server =
            await NodeServer.StartAsync(options, NullLoggerFactory.Instance, starting, CancellationToken.None);
        Assert.Empty((await stop!).Losses);
        Assert.True(server.Stopped.IsCompleted);
        Assert.False(Installation.IsMounted(Here.Mount));
    }

    [Fact]
    public async Task A_repeated_up_in_the_background_is_content_with_the_process_that_runs()
    {
        await Here.UpAsync();
        int first = Here.Pid;
        await Here.UpAsync();
        Assert.Equal(first, Here.Pid);
        Assert.Equal(5, (await Here.RunAsync("up", "--detach", "--mount", Here.Mount + "-2")).Code);
    }

    [Fact]
    public async Task In_the_foreground_it_says_that_it_is_up_and_ends_politely_on_a_signal()
    {
        using Process up = Kvfs.Start(
            "up", "--data", Here.Data, "--mount", Here.Mount, "--metrics", "off");
        string? line = await up.StandardOutput.ReadLineAsync();
        Assert.Equal($"kvfs is up (pid {up.Id}).", line);
        Assert.True(Installation.IsMounted(Here.Mount));
        await File.WriteAllTextAsync(Here.At("file"), "content");

        Assert.Equal(0, CliCalls.kill(up.Id, CliCalls.SigTerm));
        Outcome outcome = await Kvfs.EndAsync(up);
        Assert.Equal(0, outcome.Code);
        Assert.False(Installation.IsMounted(Here.Mount));
        Assert.Equal(0, (await Here.RunAsync("fsck", "--offline")).Code);
    }

    [Fact]
    public async Task A_signal_while_a_program_uses_the_mount_names_it_and_a_second_one_insists()
    {
        using Process up = Kvfs.Start(
            "up", "--data", Here.Data, "--mount", Here.Mount, "--metrics", "off");
        Assert.StartsWith("kvfs is up", await up.StandardOutput.ReadLineAsync(), StringComparison.Ordinal);
        using Process cat = StartCatIn(Here.Mount);
        try
        {
            Assert.Equal(0, CliCalls.kill(up.Id, CliCalls.SigTerm));
            string said = await ReadErrorsUntilAsync(up, "in use by");
            Assert.Contains($"cat (pid {cat.Id}", said, StringComparison.Ordinal);
            Assert.True(Installation.IsMounted(Here.Mount));

            Assert.Equal(0, CliCalls.kill(up.Id, CliCalls.SigTerm));
            Assert.Equal(0, (await Kvfs.EndAsync(up)).Code);
            Assert.False(Installation.IsMounted(Here.Mount));
        }
        finally
        {
            cat.StandardInput.Close();
            await cat.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task A_refused_down_leaves_every_mount_and_a_forced_one_none()
    {
        await Here.UpAsync();
        string other = Path.Combine(Here.Folder, "other");
        await Here.AskAsync("drive", "create", "other");
        await Here.AskAsync("mount", "other", other);
        using Process cat = StartCatIn(other);
        try
        {
            Outcome refused = await Here.RunAsync("down");
            Assert.Equal(5, refused.Code);
            Assert.Contains($"cat (pid {cat.Id}", refused.Errors, StringComparison.Ordinal);
            Assert.True(Installation.IsMounted(Here.Mount) && Installation.IsMounted(other));
            Assert.Equal("running", (await Here.AskAsync("status")).GetProperty("state").GetString());

            Assert.Equal(0, (await Here.RunAsync("down", "--force")).Code);
            Assert.False(Installation.IsMounted(Here.Mount) || Installation.IsMounted(other));
            Assert.Null(ProcessEnd.StartOf(Here.Pid));
        }
        finally
        {
            cat.StandardInput.Close();
            await cat.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task A_mount_that_was_taken_away_does_not_keep_a_forced_down_waiting()
    {
        await Here.UpAsync();
        using Process cat = StartCatIn(Here.Mount);
        try
        {
            Assert.Equal(0, (await Here.RunAsync("umount", Here.Mount, "--force")).Code);
            Assert.False(Installation.IsMounted(Here.Mount));
            Assert.Equal(5, (await Here.RunAsync("down")).Code);
            Assert.Equal(0, (await Here.RunAsync("down", "--force")).Code);
            Assert.Null(ProcessEnd.StartOf(Here.Pid));
        }
        finally
        {
            cat.StandardInput.Close();
            await cat.WaitForExitAsync();
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_forced_stop_that_loses_data_says_so_and_fails_on_both_sides(bool bySignal)
    {
        using Process up = Kvfs.StartWithSmallFiles(
            32, "up", "--data", Here.Data, "--mount", Here.Mount, "--metrics", "off");
        Assert.StartsWith("kvfs is up", await up.StandardOutput.ReadLineAsync(), StringComparison.Ordinal);
        await using (FileStream file = new(Here.At("file"), FileMode.CreateNew, FileAccess.Write, FileShare.None, 0))
        {
            // More than fits, and less than is buffered at once: nobody hears of it before the end.
            await file.WriteAsync(new byte[48 << 20]);
        }

        if (bySignal)
        {
            // The first one is told of the loss, and so refused.
            Assert.Equal(0, CliCalls.kill(up.Id, CliCalls.SigTerm));
            await ReadErrorsUntilAsync(up, "A second signal");
            Assert.True(Installation.IsMounted(Here.Mount));
            Assert.Equal(0, CliCalls.kill(up.Id, CliCalls.SigTerm));
        }
        else
        {
            Outcome down = await Here.RunAsync("down", "--force");
            Assert.Equal(1, down.Code);
            Assert.Contains("could not be stored", down.Errors, StringComparison.Ordinal);
            Assert.Contains(Here.Mount, down.Errors, StringComparison.Ordinal);
        }

        Outcome served = await Kvfs.EndAsync(up);
        Assert.Equal(1, served.Code);
        Assert.Contains("could not be stored", served.Errors, StringComparison.Ordinal);
        Assert.False(Installation.IsMounted(Here.Mount));
    }

    [Fact]
    public async Task A_start_that_fails_in_the_background_fails_in_the_foreground_and_leaves_nothing()
    {
        Directory.CreateDirectory(Here.Mount);
        await File.WriteAllTextAsync(Here.At("in-the-way"), string.Empty);
        Outcome outcome = await Here.RunAsync("up", "--detach", "--mount", Here.Mount, "--metrics", "off");
        Assert.Equal(2, outcome.Code);
        Assert.Contains("is not empty", outcome.Errors, StringComparison.Ordinal);
        Assert.Equal(7, (await Here.RunAsync("status")).Code);
        Assert.Equal(0, (await Here.RunAsync("fsck", "--offline")).Code);
    }

    [Fact]
    public async Task A_data_folder_that_is_a_file_or_damaged_is_a_clear_failure()
    {
        await File.WriteAllTextAsync(Here.Data, "not a folder");
        Outcome file = await Here.RunAsync("up", "--no-mount", "--metrics", "off");
        Assert.Equal(2, file.Code);
        File.Delete(Here.Data);

        Directory.CreateDirectory(Path.Combine(Here.Data, "db"));
        await File.WriteAllTextAsync(Path.Combine(Here.Data, "db", "CURRENT"), "garbage");
        Outcome damaged = await Here.RunAsync("up", "--detach", "--no-mount", "--metrics", "off");
        Assert.NotEqual(0, damaged.Code);
        Assert.Contains("kvfs: ", damaged.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", damaged.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_data_folder_with_a_long_path_is_served_like_any_other()
    {
        string data = Path.Combine(Here.Folder, new string('a', 60), new string('b', 60));
        string[] place = ["--data", data];
        Outcome up = await Kvfs.RunAsync(["up", "--detach", "--no-mount", "--metrics", "off", .. place]);
        Assert.Equal(0, up.Code);
        Assert.Equal(0, (await Kvfs.RunAsync(["drive", "list", .. place])).Code);
        Assert.Equal(0, (await Kvfs.RunAsync(["down", .. place])).Code);
    }

    /// <summary>The first line on standard error that has a text.</summary>
    private static async Task<string> ReadErrorsUntilAsync(Process process, string text)
    {
        string line = string.Empty;
        while (!line.Contains(text, StringComparison.Ordinal))
        {
            line = await process.StandardError.ReadLineAsync() ?? throw new InvalidOperationException("It ended.");
        }

        return line;
    }

    private static Process StartCatIn(string directory) => Process.Start(
        new ProcessStartInfo("cat") { WorkingDirectory = directory, RedirectStandardInput = true })!;

    private sealed class Reports(Action<ProgressReport> onReport) : IProgress<ProgressReport>
    {
        public void Report(ProgressReport value) => onReport(value);
    }
}
