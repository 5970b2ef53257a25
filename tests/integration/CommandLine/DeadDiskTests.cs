using System.Net;
using System.Text.Json;
using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary>The disk of a node that runs dies: everybody who asks is told, nothing is acknowledged any more, and what was fsynced is
/// there when the disk is.</summary>
public sealed class DeadDiskTests
{
    private const int EIO = 5;

    [SmallDiskFact]
    public async Task The_process_lives_and_is_not_ready_and_the_metrics_say_that_the_node_failed()
    {
        await using Installation here = new();
        using SmallDisk disk = SmallDisk.Create(Path.Combine(here.Folder, "disk.img"), here.Data, 512L << 20);
        await here.UpAsync();
        Write(here.At("before"), "content");
        using HttpClient http = new() { BaseAddress = new Uri(here.Metrics!) };
        Assert.Equal("ok\n", await http.GetStringAsync("/readyz"));
        Assert.Contains("\nkvfs_node_failed 0\n", await http.GetStringAsync("/metrics"), StringComparison.Ordinal);

        disk.Fail();
        Assert.Equal(EIO, Assert.Throws<IOException>(() => Write(here.At("after"), "lost")).HResult);

        using HttpResponseMessage ready = await http.GetAsync("/readyz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Contains(
            "The disk failed; nothing is acknowledged any more", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains("\nkvfs_node_failed 1\n", await http.GetStringAsync("/metrics"), StringComparison.Ordinal);
        Assert.Equal("ok\n", await http.GetStringAsync("/healthz"));
        Outcome status = await here.RunAsync("status", "--output", "json");
        Assert.Equal(1, status.Code);
        JsonElement node = status.Json.GetProperty("node");
        Assert.False(node.GetProperty("ok").GetBoolean());
        Assert.Contains("The disk failed", node.GetProperty("trouble").GetString(), StringComparison.Ordinal);

        await here.KillAsync();
        disk.MountAgain();
        await here.UpAsync();
        Assert.Equal("content", await File.ReadAllTextAsync(here.At("before")));
        using HttpClient again = new() { BaseAddress = new Uri(here.Metrics!) };
        Assert.Equal("ok\n", await again.GetStringAsync("/readyz"));
        await here.DownAsync();
        Outcome check = await here.RunAsync("fsck", "--offline", "--read-bytes");
        Assert.True(check.Code == 0, check.ToString());
    }

    private static void Write(string path, string content)
    {
        using FileStream file = new(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        file.Write(System.Text.Encoding.UTF8.GetBytes(content));
        file.Flush(flushToDisk: true);
    }
}
