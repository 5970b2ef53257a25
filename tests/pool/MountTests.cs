using System.Diagnostics;
using System.Text.Json;

namespace KvFs.Pool.Tests;

/// <summary>Drives of a pool as their users have them: mounted, while nodes die.</summary>
public sealed class MountTests : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-mount-").FullName;

    private string Data => Path.Combine(folder, "data");

    private string Mount => Path.Combine(folder, "mount");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (string data in Directory.EnumerateDirectories(folder, "data*")) { await RunAsync(data, "down", "--force"); }
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Programs_notice_nothing_while_nodes_are_killed_in_turn()
    {
        await UpAsync(Data, "--nodes", "3", "--mount", Mount);
        using CancellationTokenSource enough = new();
        Task<int> writing = Task.Run(() => WriteUntil(enough.Token));
        foreach (string name in (string[])["n1", "n2"])
        {
            JsonElement status = await WholeAsync();
            int before = Directory.GetFiles(Mount).Length;
            Kill(PidOf(status, name));
            await PoolWorld.UntilAsync(
                () => Task.FromResult(Directory.GetFiles(Mount).Length > before + 20 ? name : null), $"nothing is written without {name}");
        }

        await enough.CancelAsync();
        int files = await writing;
        Check(files);

        // All of them stop, and start again: with everything.
        Assert.Equal(0, await RunAsync(Data, "down"));
        Assert.Empty(Directory.GetFiles(Mount));
        await UpAsync(Data, "--nodes", "3", "--mount", Mount);
        Check(files);
        Assert.Equal(3, (await AskAsync(Data, "status")).GetProperty("nodes").GetArrayLength());
    }

    [Fact]
    public async Task Another_machine_mounts_a_drive_of_the_pool_with_a_certificate_of_its_own()
    {
        await UpAsync(Data, "--nodes", "3", "--mount", Mount);
        JsonElement nodes = await AskAsync(Data, "pool", "nodes", "--authority", "file:" + Path.Combine(Data, "pool.map"));
        string servers = string.Join(',', nodes.GetProperty("nodes").EnumerateArray().Select(static node => node.GetProperty("address").GetString()));
        string other = Path.Combine(folder, "data-other"), place = Path.Combine(folder, "mount-other");
        await UpAsync(
            other, "--server", servers, "--pki", Path.Combine(Data, "pki", "client"), "--pool", "local", "--drive", "other", "--mount", place);
        await File.WriteAllTextAsync(Path.Combine(place, "file"), "content");
        Assert.Equal("content", await File.ReadAllTextAsync(Path.Combine(place, "file")));
        Assert.Equal(
            ["main", "other"],
            (await AskAsync(Data, "drive", "list")).GetProperty("drives").EnumerateArray().Select(static drive => drive.GetProperty("name").GetString()));

        Assert.Equal(3, await RunAsync(
            Path.Combine(folder, "data-third"), "up", "--server", servers, "--pki", Path.Combine(Data, "pki", "client"), "--pool", "local", "--near", "n9", "--no-mount"));

        // A drive that somebody may write to is his.
        Assert.Equal(5, await RunAsync(Data, "mount", "other", Path.Combine(folder, "mount-third")));
        Assert.Equal(0, await RunAsync(other, "snapshot", "create", "other", "first"));
        Assert.Equal("content", await File.ReadAllTextAsync(Path.Combine(place, ".snapshots", "first", "file")));
        Assert.Equal(0, await RunAsync(other, "down"));
        Assert.Equal(0, await RunAsync(Data, "mount", "other", Path.Combine(folder, "mount-third")));
        Assert.Equal("content", await File.ReadAllTextAsync(Path.Combine(folder, "mount-third", "file")));
    }

    [Fact]
    public async Task What_cannot_be_is_said_before_anything_is_changed()
    {
        Assert.Equal(2, await RunAsync(Data, "up", "--nodes", "3", "--server", "127.0.0.1:1", "--insecure", "--no-mount"));
        Assert.Equal(2, await RunAsync(Data, "up", "--server", "127.0.0.1:1", "--no-mount"));
        Assert.Equal(2, await RunAsync(Data, "up", "--insecure", "--no-mount"));
        Assert.Equal(2, await RunAsync(Data, "up", "--near", "n1", "--no-mount"));
        Assert.Equal(2, await RunAsync(Data, "up", "--nodes", "3", "--zone", "a", "--no-mount"));
        Assert.Equal(2, await RunAsync(Data, "up", "--nodes", "10", "--no-mount"));
        Assert.Equal(7, await RunAsync(Data, "up", "--server", "127.0.0.1:1", "--insecure", "--no-mount"));
        await UpAsync(Data, "--no-mount");
        await RunAsync(Data, "down");
        Assert.NotEqual(0, await RunAsync(Data, "up", "--nodes", "3", "--no-mount", "--detach"));
    }

    /// <summary>Writes files, each synced, until it is told to stop; how many.</summary>
    private int WriteUntil(CancellationToken enough)
    {
        int file = 0;
        for (; !enough.IsCancellationRequested; file++)
        {
            using FileStream written = new(Path.Combine(Mount, $"f{file}"), FileMode.CreateNew);
            written.Write(Files.Bytes(1_000 + (file % 20_000), file));
            written.Flush(flushToDisk: true);
        }

        return file;
    }

    private void Check(int files)
    {
        Assert.Equal(files, Directory.GetFiles(Mount).Length);
        for (int file = 0; file < files; file++)
        {
            Assert.Equal(Files.Bytes(1_000 + (file % 20_000), file), File.ReadAllBytes(Path.Combine(Mount, $"f{file}")));
        }
    }

    private static int PidOf(JsonElement status, string name) => status.GetProperty("nodes").EnumerateArray()
        .First(node => node.GetProperty("name").GetString() == name).GetProperty("pid").GetInt32();

    /// <summary>Waits until all nodes run, and have copies of everything.</summary>
    private async Task<JsonElement> WholeAsync()
    {
        JsonElement status = default;
        await PoolWorld.UntilAsync(
            async () =>
            {
                status = await AskAsync(Data, "status");
                bool isWhole = status.GetProperty("nodes").GetArrayLength() == 3
                    && status.GetProperty("node").GetProperty("trouble").ValueKind == JsonValueKind.Null;
                return isWhole ? string.Empty : null;
            },
            () => $"the pool is not whole: {status}");
        return status;
    }

    private static void Kill(int pid)
    {
        using Process killed = Process.GetProcessById(pid);
        killed.Kill();
        killed.WaitForExit();
    }

    private static async Task UpAsync(string data, params string[] arguments)
    {
        (int code, _, string errors) = await ExecuteAsync(data, ["up", "--detach", "--metrics", "off", .. arguments]);
        Assert.True(code == 0, $"kvfs up ended with {code}: {errors}");
    }

    private static async Task<JsonElement> AskAsync(string data, params string[] arguments)
    {
        (int code, string output, string errors) = await ExecuteAsync(data, [.. arguments, "--output", "json"]);
        Assert.True(code == 0, $"kvfs {string.Join(' ', arguments)} ended with {code}: {errors}");
        return JsonDocument.Parse(output).RootElement;
    }

    private static async Task<int> RunAsync(string data, params string[] arguments) => (await ExecuteAsync(data, arguments)).Code;

    private static async Task<(int Code, string Output, string Errors)> ExecuteAsync(string data, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(PoolProcesses.Program, [.. arguments, "--data", data])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await errors);
    }
}
