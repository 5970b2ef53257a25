using System.Diagnostics;
using System.Text.Json;
using KvFs.Cli.Hosting;
using CliCalls = KvFs.Cli.Native.Posix;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary>A data folder and a place to mount, and the process that serves them, if any. All of it is gone after the test.
/// </summary>
internal sealed class Installation : IAsyncDisposable
{
    private const int SigKill = 9;

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-integration-");

    public string Folder => folder.FullName;

    public string Data => Path.Combine(Folder, "data");

    public string Mount => Path.Combine(Folder, "mount");

    /// <summary>The process that <see cref="UpAsync"/> started.</summary>
    public int Pid { get; private set; }

    /// <summary>The metrics page, without a path.</summary>
    public string? Metrics { get; private set; }

    public string At(string name) => Path.Combine(Mount, name);

    /// <summary>Runs a command on this data folder.</summary>
    public Task<Outcome> RunAsync(params IEnumerable<string> arguments) => Kvfs.RunAsync([.. arguments, "--data", Data]);

    /// <summary>Runs a command that must succeed, and reads its JSON.</summary>
    public async Task<JsonElement> AskAsync(params IEnumerable<string> arguments)
    {
        Outcome outcome = await RunAsync([.. arguments, "--output", "json"]);
        Assert.True(outcome.Code == 0, outcome.ToString());
        return outcome.Json;
    }

    /// <summary>Starts it in the background; it serves when this returns.</summary>
    public async Task UpAsync(params IEnumerable<string> arguments)
    {
        JsonElement status = await AskAsync(
            ["up", "--detach", "--mount", Mount, "--metrics", "127.0.0.1:0", .. arguments]);
        Pid = status.GetProperty("pid").GetInt32();
        Metrics = status.GetProperty("metrics").GetString();
    }

    public async Task DownAsync()
    {
        Outcome outcome = await RunAsync("down");
        Assert.True(outcome.Code == 0, outcome.ToString());
        Pid = 0;
    }

    /// <summary>What a power switch does to the process.</summary>
    public async Task KillAsync()
    {
        Assert.Equal(0, CliCalls.kill(Pid, SigKill));
        await ProcessEnd.WaitAsync(Pid, CancellationToken.None);
        Pid = 0;
    }

    public static bool IsMounted(string directory) => DeadMount.IsOurs(directory);

    private bool ServesThis(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Contains(Data, StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Also what a failed test started without having learnt its number.
        if (File.Exists(Path.Combine(Data, "control.sock")) && (await RunAsync("down", "--force")).Code is not (0 or 7))
        {
            await KillAsync();
        }
        else if (Pid != 0 && ServesThis(Pid))
        {
            // Its folder is on a disk that is not there any more, so that it cannot be asked.
            await KillAsync();
        }
        foreach (string line in File.ReadLines("/proc/self/mountinfo").Reverse())
        {
            string path = DeadMount.Parse(line).Path;
            if (path.StartsWith(Folder + "/", StringComparison.Ordinal))
            {
                _ = CliCalls.umount2(path, CliCalls.MntDetach | CliCalls.UmountNoFollow);
            }
        }
        folder.Delete(recursive: true);
    }
}
