using System.Text.Json;
using KvFs.Cli.Hosting;
using KvFs.Integration.Tests.Native;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary>What a mount lets files do: nothing that could harm the machine, unless it was asked for.</summary>
public sealed class MountOptionTests : IAsyncLifetime
{
    private static readonly DateTime s_longAgo = new(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc);

    private Installation Here { get; } = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await Here.DisposeAsync();

    [Fact]
    public async Task Device_nodes_and_set_id_bits_work_only_where_root_asked_for_them()
    {
        await Here.UpAsync();
        Assert.Superset(new HashSet<string> { "nodev", "nosuid" }, OptionsOf(Here.Mount));
        string other = Path.Combine(Here.Folder, "other");
        await Here.AskAsync("drive", "create", "other");
        string[] arguments = ["mount", "other", other, "--dev", "--suid"];
        if (LibC.geteuid() != 0)
        {
            Outcome refused = await Here.RunAsync(arguments);
            Assert.Equal(10, refused.Code);
            Assert.Contains("root", refused.Errors, StringComparison.Ordinal);
            return;
        }

        await Here.AskAsync(arguments);
        Assert.DoesNotContain("nodev", OptionsOf(other));
        Assert.DoesNotContain("nosuid", OptionsOf(other));
        JsonElement mount = (await Here.AskAsync("status")).GetProperty("mounts").EnumerateArray()
            .Single(mount => mount.GetProperty("directory").GetString() == other);
        Assert.True(mount.GetProperty("dev").GetBoolean() && mount.GetProperty("suid").GetBoolean());
        Assert.Contains("read-write, dev, suid", (await Here.RunAsync("status")).Output, StringComparison.Ordinal);

        await Here.DownAsync();
        await Here.UpAsync("--dev");
        Assert.DoesNotContain("nodev", OptionsOf(Here.Mount));
        Assert.Contains("nosuid", OptionsOf(Here.Mount));

        // The same again is content with what runs; something else is not.
        await Here.UpAsync("--dev");
        Assert.Equal(5, (await Here.RunAsync("up", "--detach", "--mount", Here.Mount, "--suid")).Code);
    }

    [Fact]
    public async Task Reading_moves_access_times_as_relatime_does_unless_it_was_not_to()
    {
        await Here.UpAsync();
        await File.WriteAllTextAsync(Here.At("file"), "content");
        File.SetLastAccessTimeUtc(Here.At("file"), s_longAgo);
        await Here.DownAsync();

        await Here.UpAsync("--noatime");
        Assert.Equal("content", await File.ReadAllTextAsync(Here.At("file")));
        Assert.Equal(s_longAgo, File.GetLastAccessTimeUtc(Here.At("file")));
        await Here.DownAsync();

        await Here.UpAsync();
        Assert.Equal("content", await File.ReadAllTextAsync(Here.At("file")));
        DateTime read = File.GetLastAccessTimeUtc(Here.At("file"));
        Assert.NotEqual(s_longAgo, read);
        await Here.DownAsync();

        await Here.UpAsync("--noatime");
        Assert.Equal(read, File.GetLastAccessTimeUtc(Here.At("file")));
    }

    /// <summary>What the kernel says of a mount.</summary>
    private static HashSet<string> OptionsOf(string directory)
    {
        string line = File.ReadLines("/proc/self/mountinfo").Single(line => DeadMount.Parse(line).Path == directory);
        return [.. line.Split(' ')[5].Split(',')];
    }
}
