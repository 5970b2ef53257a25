using System.Diagnostics;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Hosting;

namespace KvFs.Cli.Tests.Hosting;

public sealed class MountPathTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("36 25 0:32 / /mnt/kvfs rw,nosuid shared:19 - fuse.kvfs main rw,user_id=0", "/mnt/kvfs", "fuse.kvfs")]
    [InlineData(@"36 25 0:32 / /mnt/a\040b\134c rw - fuse.kvfs main rw", @"/mnt/a b\c", "fuse.kvfs")]
    [InlineData("22 28 0:20 / /sys rw - sysfs sysfs rw", "/sys", "sysfs")]
    [InlineData(@"1 2 3 4 /x\9 rw - ext4 /dev/sda rw", @"/x\9", "ext4")]
    [InlineData("", "", "")]
    [InlineData("- - - - - -", "", "")]
    [InlineData("1 2 3 4 /mnt rw -", "", "")]
    public void A_line_of_mountinfo_gives_path_and_type(string line, string path, string type) =>
        Assert.Equal((path, type), DeadMount.Parse(line));

    [Fact]
    public void A_path_that_is_no_mount_of_ours_is_left_alone()
    {
        Assert.False(DeadMount.IsOurs("/proc"));
        Assert.False(DeadMount.IsOurs(folder.Path));
    }

    [Fact]
    public void A_missing_directory_is_made_and_links_in_its_path_are_followed()
    {
        Directory.CreateDirectory(folder.At("real"));
        File.CreateSymbolicLink(folder.At("link"), folder.At("real"));
        string resolved = MountDirectory.Prepare(folder.At("link/a/b"));
        Assert.True(Directory.Exists(folder.At("real/a/b")));
        Assert.EndsWith("/real/a/b", resolved, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_or_a_relative_path_is_no_place_to_mount()
    {
        File.WriteAllText(folder.At("file"), string.Empty);
        Assert.Equal(
            ExitCode.Usage, Assert.Throws<CommandException>(() => MountDirectory.Prepare(folder.At("file"))).Code);
        Assert.Equal(ExitCode.Usage, Assert.Throws<CommandException>(() => MountDirectory.Prepare("relative")).Code);
        Assert.Equal(ExitCode.Usage, Assert.Throws<CommandException>(() => MountDirectory.Prepare("/a\0b")).Code);
    }

    [Fact]
    public void A_program_that_works_in_a_directory_is_seen()
    {
        ProcessStartInfo start = new("cat") { WorkingDirectory = folder.Path, RedirectStandardInput = true };
        using Process cat = Process.Start(start)!;
        try
        {
            MountHolders.Holder holder = Assert.Single(MountHolders.Find(folder.Path));
            Assert.Equal((cat.Id, $"cwd {folder.Path}"), (holder.Pid, holder.Use));
            Assert.Contains($"pid {cat.Id}", MountHolders.Describe(folder.Path), StringComparison.Ordinal);
            Assert.Empty(MountHolders.Find(folder.Path + "-other"));
        }
        finally
        {
            cat.StandardInput.Close();
            cat.WaitForExit();
        }
    }

    [Fact]
    public void A_program_that_has_a_file_open_is_seen()
    {
        string file = folder.At("open");
        ProcessStartInfo start = new("sh", ["-c", "exec 5>\"$0\"; echo ready; exec cat", file])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        using Process shell = Process.Start(start)!;
        try
        {
            Assert.Equal("ready", shell.StandardOutput.ReadLine());
            Assert.Equal($"file {file}", Assert.Single(MountHolders.Find(folder.Path)).Use);
        }
        finally
        {
            shell.StandardInput.Close();
            shell.WaitForExit();
        }
    }
}
