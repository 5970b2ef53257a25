using System.Diagnostics;
using System.Text.Json;
using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary>What commands do to a process that runs.</summary>
public sealed class CommandTests(RunningInstallation running) : IClassFixture<RunningInstallation>
{
    private readonly Installation installation = running.Installation;

    [Fact]
    public async Task A_drive_is_made_shown_resized_and_deleted()
    {
        JsonElement made = await installation.AskAsync("drive", "create", "life", "--size", "10GiB", "--inodes", "1000");
        Assert.Equal(10UL << 30, made.GetProperty("quotaBytes").GetUInt64());
        Assert.Equal(4, (await installation.RunAsync("drive", "create", "life")).Code);

        JsonElement list = await installation.AskAsync("drive", "list");
        Assert.Contains(list.GetProperty("drives").EnumerateArray(), drive => drive.GetProperty("name").GetString() == "life");

        JsonElement resized = await installation.AskAsync("drive", "resize", "life", "--size", "0");
        Assert.Equal(JsonValueKind.Null, resized.GetProperty("quotaBytes").ValueKind);
        Assert.Equal(1000UL, resized.GetProperty("quotaInodes").GetUInt64());

        Assert.Equal(8, (await installation.RunAsync("drive", "delete", "life")).Code);
        Assert.Equal(0, (await installation.RunAsync("drive", "delete", "life", "--yes")).Code);
        Assert.Equal(3, (await installation.RunAsync("drive", "show", "life")).Code);
        Assert.Equal(3, (await installation.RunAsync("drive", "delete", "life", "--yes")).Code);
    }

    [Fact]
    public async Task A_snapshot_keeps_what_was_and_brings_it_back()
    {
        await installation.AskAsync("drive", "create", "snapped");
        string mount = Path.Combine(installation.Folder, "snapped");
        await installation.AskAsync("mount", "snapped", mount);
        await File.WriteAllTextAsync(Path.Combine(mount, "file"), "before");
        await installation.AskAsync("snapshot", "create", "snapped", "first");
        Assert.Equal(4, (await installation.RunAsync("snapshot", "create", "snapped", "first")).Code);
        await File.WriteAllTextAsync(Path.Combine(mount, "file"), "after");
        Assert.Equal("before", await File.ReadAllTextAsync(Path.Combine(mount, ".snapshots/first/file")));

        JsonElement list = await installation.AskAsync("snapshot", "list", "snapped");
        Assert.Equal("first", list.GetProperty("snapshots")[0].GetProperty("name").GetString());

        Assert.Equal(8, (await installation.RunAsync("snapshot", "restore", "snapped", "first")).Code);
        Assert.Equal(2, (await installation.RunAsync("snapshot", "restore", "snapped", "first", "--path", "file", "--yes")).Code);
        Outcome restored = await installation.RunAsync("snapshot", "restore", "snapped", "first", "--path", "/file", "--yes");
        Assert.True(restored.Code == 0, restored.ToString());
        Assert.Equal("before", await File.ReadAllTextAsync(Path.Combine(mount, "file")));

        Assert.Equal(0, (await installation.RunAsync("snapshot", "delete", "snapped", "first", "--yes")).Code);
        Assert.Equal(3, (await installation.RunAsync("snapshot", "delete", "snapped", "first", "--yes")).Code);
        Assert.Equal(0, (await installation.RunAsync("umount", mount)).Code);
    }

    [Fact]
    public async Task A_clone_starts_as_its_origin_and_goes_its_own_way()
    {
        await installation.AskAsync("drive", "create", "origin");
        string origin = Path.Combine(installation.Folder, "origin");
        string clone = Path.Combine(installation.Folder, "clone");
        await installation.AskAsync("mount", "origin", origin);
        await File.WriteAllTextAsync(Path.Combine(origin, "file"), "shared");
        JsonElement made = await installation.AskAsync("clone", "origin", "copy");
        Assert.Equal("origin", made.GetProperty("origin").GetString());
        await installation.AskAsync("mount", "copy", clone);
        await File.WriteAllTextAsync(Path.Combine(clone, "file"), "changed");
        Assert.Equal("shared", await File.ReadAllTextAsync(Path.Combine(origin, "file")));
        Assert.Equal(4, (await installation.RunAsync("clone", "origin", "copy")).Code);
        Assert.Equal(3, (await installation.RunAsync("clone", "origin", "other", "--snapshot", "missing")).Code);
        Assert.Equal(0, (await installation.RunAsync("umount", clone)).Code);
        Assert.Equal(0, (await installation.RunAsync("umount", origin)).Code);
    }

    [Fact]
    public async Task A_busy_mount_is_refused_with_the_name_of_who_uses_it_and_can_be_taken_away()
    {
        await installation.AskAsync("drive", "create", "busy");
        string mount = Path.Combine(installation.Folder, "busy");
        await installation.AskAsync("mount", "busy", mount);
        ProcessStartInfo start = new("cat") { WorkingDirectory = mount, RedirectStandardInput = true };
        using Process cat = Process.Start(start)!;
        try
        {
            Outcome refused = await installation.RunAsync("umount", mount);
            Assert.Equal(5, refused.Code);
            Assert.Contains($"cat (pid {cat.Id}", refused.Errors, StringComparison.Ordinal);
            Assert.Equal(5, (await installation.RunAsync("drive", "delete", "busy", "--yes")).Code);
            Assert.Equal(0, (await installation.RunAsync("umount", mount, "--force")).Code);
            Assert.False(Installation.IsMounted(mount));
            Assert.Equal(3, (await installation.RunAsync("umount", mount)).Code);
        }
        finally
        {
            cat.StandardInput.Close();
            await cat.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task What_somebody_else_unmounts_is_off_the_list_and_can_be_mounted_again()
    {
        await installation.AskAsync("drive", "create", "outside");
        string mount = Path.Combine(installation.Folder, "outside");
        await installation.AskAsync("mount", "outside", mount);
        await File.WriteAllTextAsync(Path.Combine(mount, "file"), "content");
        using Process umount = Process.Start("umount", [mount]);
        await umount.WaitForExitAsync();
        Assert.Equal(0, umount.ExitCode);

        // The session is given back when the kernel has let go; a command that comes before that is told so, and may try again.
        using CancellationTokenSource deadline = new(RealProgram.Deadline);
        Outcome again;
        do
        {
            deadline.Token.ThrowIfCancellationRequested();
            again = await installation.RunAsync("mount", "outside", mount);
        }
        while (again.Code == 5);
        Assert.True(again.Code == 0, again.ToString());
        Assert.True(Installation.IsMounted(mount));
        Assert.Equal("content", await File.ReadAllTextAsync(Path.Combine(mount, "file")));
        await File.WriteAllTextAsync(Path.Combine(mount, "file"), "more");
        JsonElement status = await installation.AskAsync("status");
        Assert.Single(status.GetProperty("mounts").EnumerateArray(), one => one.GetProperty("directory").GetString() == mount);
        Assert.Equal(0, (await installation.RunAsync("umount", mount)).Code);
        Assert.False(Installation.IsMounted(mount));
    }

    [Fact]
    public async Task Space_is_told_for_drives_and_disk()
    {
        await installation.AskAsync("drive", "create", "space", "--size", "1MiB");
        JsonElement space = await installation.AskAsync("df");
        JsonElement drive = space.GetProperty("drives").EnumerateArray()
            .Single(one => one.GetProperty("drive").GetString() == "space");
        Assert.Equal(1UL << 20, drive.GetProperty("totalBytes").GetUInt64());
        Assert.True(space.GetProperty("diskTotalBytes").GetUInt64() > space.GetProperty("diskFreeBytes").GetUInt64());
    }

    [Fact]
    public async Task The_benchmark_measures_the_mount_and_leaves_nothing()
    {
        JsonElement report = await installation.AskAsync(
            "bench", installation.Mount, "--compare", installation.Folder, "--size", "2MiB", "--files", "20");
        Assert.Equal(9, report.GetProperty("figures").GetArrayLength());
        Assert.All(report.GetProperty("figures").EnumerateArray(), figure =>
            Assert.True(figure.GetProperty("ratio").GetDouble() > 0));
        Assert.Empty(Directory.EnumerateFileSystemEntries(installation.Mount, ".kvfs-bench*"));
    }

    [Fact]
    public async Task A_shell_is_offered_the_names_of_drives()
    {
        await installation.AskAsync("drive", "create", "offered");
        string line = $"kvfs --data {installation.Data} drive show o";
        Outcome outcome = await Kvfs.RunAsync($"[suggest:{line.Length}]", line);
        Assert.Contains("offered", outcome.Output.Split('\n'));
    }

    [Theory]
    [InlineData("status")]
    [InlineData("drive", "list")]
    [InlineData("df")]
    [InlineData("snapshot", "list", "main")]
    public async Task Without_a_terminal_output_is_plain_and_errors_stay_apart(params string[] arguments)
    {
        Outcome outcome = await installation.RunAsync(arguments);
        Assert.Equal(0, outcome.Code);
        Assert.DoesNotContain('\x1b', outcome.Output);
        Assert.NotEmpty(outcome.Output);
        Assert.Empty(outcome.Errors);
    }
}
