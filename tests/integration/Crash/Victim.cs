using System.Diagnostics;
using System.Globalization;
using KvFs.Integration.Tests.CommandLine;
using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.Crash;

/// <summary>The real server, <c>kvfs up</c> as a process of its own: the one that is killed.</summary>
/// <remarks>No file of the mount may be open in the process that is killed: it would wait for itself for ever. So what uses the
/// mount is in this process.</remarks>
internal sealed class Victim : IDisposable
{
    private readonly Process process;
    private readonly TestFolder folder;

    private Victim(Process process, TestFolder folder)
    {
        this.process = process;
        this.folder = folder;
    }

    /// <summary>Starts one and waits until its drive is mounted.</summary>
    public static async Task<Victim> StartAsync(TestFolder folder)
    {
        Process process = Kvfs.Start(
            "up", "--data", folder.Data, "--mount", folder.Mount, "--drive", RestartableDrive.Name, "--metrics", "off",
            "--log-level", "warning");
        Victim victim = new(process, folder);
        try
        {
            using CancellationTokenSource deadline = new(RealProgram.Deadline);
            string? line = await process.StandardOutput.ReadLineAsync(deadline.Token);
            string expected = string.Create(CultureInfo.InvariantCulture, $"kvfs is up (pid {process.Id}).");
            if (line != expected)
            {
                Assert.Fail($"The server did not start: {line}\n{await process.StandardError.ReadToEndAsync(deadline.Token)}");
            }

            return victim;
        }
        catch
        {
            victim.Dispose();
            throw;
        }
    }

    /// <summary>What fsck, asked through the command line, finds while the drive is mounted: every byte is read.</summary>
    public async Task CheckAsync(string place)
    {
        Outcome outcome = await Kvfs.RunAsync("fsck", "--read-bytes", "--data", folder.Data, "--output", "json");
        Assert.True(outcome.Code == 0 && outcome.Json.GetProperty("clean").GetBoolean(), $"{place}\n{outcome}");
    }

    /// <summary>Ends it in order, and checks what it leaves.</summary>
    public async Task StopAsync()
    {
        Outcome down = await Kvfs.RunAsync("down", "--data", folder.Data);
        Assert.True(down.Code == 0, down.ToString());
        Outcome outcome = await Kvfs.RunAsync("fsck", "--offline", "--read-bytes", "--data", folder.Data);
        Assert.True(outcome.Code == 0, outcome.ToString());
    }

    /// <summary>SIGKILL, the end of the process, and of what is left of its mount.</summary>
    public void Kill()
    {
        if (!process.HasExited) { process.Kill(); }
        Assert.True(process.WaitForExit(RealProgram.Deadline), "The server did not die.");
        folder.UnmountDead();
    }

    public void Dispose()
    {
        Kill();
        process.Dispose();
    }
}
