using System.Diagnostics;
using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.Crash;

/// <summary>A running <see cref="VictimServer"/>.</summary>
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
        // The runtime that runs this test; its own path if the host says it.
        string runtime = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        Process process = RealProgram.Start("/", runtime, "exec", typeof(Victim).Assembly.Location, folder.Root);
        Victim victim = new(process, folder);
        try
        {
            using CancellationTokenSource deadline = new(RealProgram.Deadline);
            string? line = await process.StandardOutput.ReadLineAsync(deadline.Token);
            if (line != VictimServer.Ready)
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
