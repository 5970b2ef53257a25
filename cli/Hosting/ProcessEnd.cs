using System.Globalization;

namespace KvFs.Cli.Hosting;

/// <summary>Waits for the end of a process that is not a child of this one.</summary>
internal static class ProcessEnd
{
    /// <summary>Quick to a person, and nothing to the machine: one small file is read.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Returns when the process has ended, also if nobody has asked for its exit code yet: in a container without
    /// an init, nobody ever does.</summary>
    public static async Task WaitAsync(int pid, CancellationToken cancel)
    {
        string? first = StartOf(pid);

        // The start time tells the process from another one that got its number later.
        while (first is not null && StartOf(pid) == first) { await Task.Delay(Pause, cancel).ConfigureAwait(false); }
    }

    /// <summary>When a process started, in the kernel's words; null if it runs no more.</summary>
    internal static string? StartOf(int pid)
    {
        string stat;
        try
        {
            stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat"));
        }
        catch (IOException)
        {
            return null;
        }

        // proc(5): the name, in parentheses, may itself have blanks and parentheses. Behind it: state (3rd), … start (22nd).
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return fields[0] is "Z" or "X" ? null : fields[22 - 3];
    }
}
