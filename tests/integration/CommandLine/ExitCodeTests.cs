using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using KvFs.Integration.Tests.Drives;
using CliCalls = KvFs.Cli.Native.Posix;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary>Exit codes that need a machine in a certain state: a full disk, and Ctrl-C.</summary>
public sealed class ExitCodeTests
{
    private const int SigInt = 2;

    [SmallDiskFact]
    public async Task A_full_disk_is_code_6_and_once_there_is_room_the_same_command_works()
    {
        await using Installation here = new();
        using SmallDisk disk = SmallDisk.Create(Path.Combine(here.Folder, "disk.img"), here.Data, 512L << 20);
        await here.UpAsync();
        await File.WriteAllTextAsync(here.At("file"), "content");
        string filler = disk.Fill(free: 1 << 20);
        Outcome full = await here.RunAsync("drive", "create", "other");
        Assert.Equal(6, full.Code);
        Assert.Contains("no space", full.Errors, StringComparison.OrdinalIgnoreCase);
        Assert.Equal("content", await File.ReadAllTextAsync(here.At("file")));

        File.Delete(filler);
        Outcome made = await here.RunAsync("drive", "create", "other");
        Assert.True(made.Code == 0, made.ToString());
        await here.DownAsync();
    }

    [SmallDiskFact]
    public async Task A_start_on_a_full_disk_is_code_6_and_loses_nothing()
    {
        await using Installation here = new();
        using SmallDisk disk = SmallDisk.Create(Path.Combine(here.Folder, "disk.img"), here.Data, 512L << 20);
        await here.UpAsync();
        await File.WriteAllTextAsync(here.At("file"), "content");
        await here.DownAsync();
        string filler = disk.Fill(free: 1 << 20);
        Outcome full = await here.RunAsync("up", "--no-mount", "--metrics", "off", "--drive", "new");
        Assert.True(full.Code == 6, full.ToString());
        Assert.Contains("make room, then start again", full.Errors, StringComparison.Ordinal);

        File.Delete(filler);
        await here.UpAsync();
        Assert.Equal("content", await File.ReadAllTextAsync(here.At("file")));
        await here.DownAsync();
    }

    [Fact]
    public async Task Ctrl_C_while_a_start_waits_for_a_pool_is_code_130()
    {
        await using Installation here = new();
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        using Process up = Kvfs.Start(
            "up", "--data", here.Data, "--server", silent.LocalEndpoint.ToString()!, "--insecure", "--no-mount", "--metrics", "off");
        using TcpClient asked = await silent.AcceptTcpClientAsync();
        Assert.Equal(0, CliCalls.kill(up.Id, SigInt));
        Outcome outcome = await Kvfs.EndAsync(up);
        Assert.True(outcome.Code == 130, outcome.ToString());
    }

    [Fact]
    public async Task Ctrl_C_while_a_command_waits_for_its_answer_is_code_130()
    {
        await using Installation here = new();
        Directory.CreateDirectory(here.Data);
        string name = Path.Combine(here.Data, "control.sock");
        using (Socket silent = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            silent.Bind(new UnixDomainSocketEndPoint(name));
            silent.Listen();
            using Process status = Kvfs.Start("fsck", "--data", here.Data);
            using Socket asked = await silent.AcceptAsync();
            Assert.Equal(0, CliCalls.kill(status.Id, SigInt));
            Outcome outcome = await Kvfs.EndAsync(status);
            Assert.True(outcome.Code == 130, outcome.ToString());
        }

        File.Delete(name);
    }
}
