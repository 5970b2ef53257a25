using System.Diagnostics;

namespace KvFs.Authority.Tests.Support;

/// <summary>Signals to processes that a test has started.</summary>
internal static class Signals
{
    internal static async Task SendAsync(Process process, string signal)
    {
        using Process kill = Process.Start("kill", ["-s", signal, $"{process.Id}"]);
        await kill.WaitForExitAsync(TestTime.Limit());
        Assert.Equal(0, kill.ExitCode);
    }

    /// <summary>Stops a process where it stands: its connections stay, and nothing of it moves.</summary>
    internal static async Task FreezeAsync(Process process)
    {
        await SendAsync(process, "STOP");

        // It is sent before it is heeded: on a busy machine the process answers for a while still.
        CancellationToken limit = TestTime.Limit();
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(5));
        while (!Directory.EnumerateDirectories($"/proc/{process.Id}/task").All(IsStopped)) { await timer.WaitForNextTickAsync(limit); }
    }

    /// <summary>Lets it go on.</summary>
    internal static Task ThawAsync(Process process) => SendAsync(process, "CONT");

    /// <summary>Whether a thread stands still, or is gone. Source: proc_pid_stat(5): its state is behind its name.</summary>
    private static bool IsStopped(string thread)
    {
        try
        {
            string stat = System.IO.File.ReadAllText($"{thread}/stat");
            return stat[stat.LastIndexOf(')') + 2] == 'T';
        }
        catch (IOException)
        {
            return true;
        }
    }
}
