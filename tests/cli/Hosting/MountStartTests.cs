using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;

namespace KvFs.Cli.Tests.Hosting;

public sealed class MountStartTests
{
    [Fact]
    public void A_mount_that_has_its_drive_alone_cannot_be_told_how_long_to_wait()
    {
        MountRequest request = new("drive", "/mnt/drive", Timeout: TimeSpan.FromSeconds(30));
        CommandException refused = Assert.Throws<CommandException>(() => MountStart.Check(request));
        Assert.Equal(ExitCode.Usage, refused.Code);
        Assert.Contains("--shared", refused.Message, StringComparison.Ordinal);
        MountStart.Check(request with { Shared = true });
    }
}
