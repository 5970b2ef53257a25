using System.Collections.Immutable;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace KvFs.Bench;

/// <summary>What processes have used so far, or between two moments.</summary>
/// <param name="DiskBytes">That the nodes had written to disks, as the kernel counts it.</param>
/// <param name="NetworkBytes">That nodes and client sent to each other; null: it cannot be counted here.</param>
/// <param name="NodeSeconds">Processor time of the nodes.</param>
/// <param name="ClientSeconds">Processor time of this process.</param>
/// <param name="MachineSeconds">Processor time of everybody on this machine.</param>
internal sealed record Usage(long DiskBytes, long? NetworkBytes, double NodeSeconds, double ClientSeconds, double MachineSeconds)
{
    public static Usage operator -(Usage left, Usage right) => new(
        left.DiskBytes - right.DiskBytes,
        left.NetworkBytes - right.NetworkBytes,
        left.NodeSeconds - right.NodeSeconds,
        left.ClientSeconds - right.ClientSeconds,
        left.MachineSeconds - right.MachineSeconds);
}

/// <summary>Reads from /proc, and from ss(8), what the nodes of a pool on this machine use.</summary>
/// <remarks>Bytes on the network are those that the sockets of nodes and client have sent, each counted where it left; of a
/// connection that ends in between they are missing.</remarks>
internal sealed class UsageMeter(ImmutableArray<int> nodes)
{
    /// <summary>Of times in /proc: what sysconf(_SC_CLK_TCK) is on Linux, whatever its kernel was built with.</summary>
    private const double TicksPerSecond = 100;

    /// <summary>How long nothing may be written for the nodes to count as quiet.</summary>
    private const int QuietLooks = 6;

    /// <summary>Then it goes on although something is still written.</summary>
    private const int MaxLooks = 60;

    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    /// <summary>Whether it was told whom to look at.</summary>
    public bool Counts => nodes.Length > 0;

    /// <exception cref="BenchException">A process is gone, or another user's.</exception>
    public async Task<Usage> ReadAsync() => new(
        nodes.Sum(DiskBytesOf),
        Counts ? await NetworkBytesAsync() : null,
        nodes.Sum(SecondsOf),
        SecondsOf(Environment.ProcessId),
        MachineSeconds());

    /// <summary>The largest of the nodes, in MiB.</summary>
    public long MemoryMiB() => nodes.Length == 0 ? 0 : nodes.Max(static process =>
        Number(Lines(process, "status").First(static line => line.StartsWith("VmRSS:", StringComparison.Ordinal))) >> 10);

    /// <summary>Waits until the nodes have written nothing for a while: what goes on behind is part of the price.</summary>
    public async Task SettleAsync()
    {
        long last = -1;
        for (int quiet = 0, looks = 0; quiet < QuietLooks && looks < MaxLooks; looks++)
        {
            long now = nodes.Sum(DiskBytesOf);
            quiet = now == last ? quiet + 1 : 0;
            last = now;
            await Task.Delay(s_look);
        }
    }

    private static long DiskBytesOf(int process)
    {
        string[] lines = Lines(process, "io");
        return Find("write_bytes:") - Find("cancelled_write_bytes:");

        long Find(string name) => Number(lines.First(line => line.StartsWith(name, StringComparison.Ordinal)));
    }

    private static double SecondsOf(int process)
    {
        // Behind the name, which may have anything in it: state, ppid, … utime is the 12th, stime the 13th of them.
        string line = Lines(process, "stat")[0];
        string[] parts = line[(line.LastIndexOf(')') + 2)..].Split(' ');
        return (Number(parts[11]) + Number(parts[12])) / TicksPerSecond;
    }

    /// <summary>All but idle, waiting and the time that guests are counted with a second time.</summary>
    private static double MachineSeconds()
    {
        string[] parts = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return (Number(parts[1]) + Number(parts[2]) + Number(parts[3]) + Number(parts[6]) + Number(parts[7])) / TicksPerSecond;
    }

    private static string[] Lines(int process, string file)
    {
        try
        {
            return File.ReadAllLines($"/proc/{process}/{file}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BenchException(BenchException.NotThere, $"Process {process}, a node, cannot be looked at: {e.Message}");
        }
    }

    private static long Number(string text) => long.Parse(
        string.Concat(text.Where(char.IsAsciiDigit)), NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>Bytes that the sockets of nodes and client have sent so far; null: ss(8) is not here, or does not tell.</summary>
    private async Task<long?> NetworkBytesAsync()
    {
        try
        {
            using Process sockets = Process.Start(new ProcessStartInfo("ss", ["-H", "-t", "-i", "-n", "-p", "-O"]) { RedirectStandardOutput = true })!;
            string told = await sockets.StandardOutput.ReadToEndAsync();
            await sockets.WaitForExitAsync();
            return sockets.ExitCode == 0 ? SocketBytes.Sum(told, [.. nodes, Environment.ProcessId]) : null;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}

/// <summary>Reads what <c>ss -tinpO</c> prints.</summary>
internal static class SocketBytes
{
    /// <summary>Bytes sent by the sockets of some processes.</summary>
    /// <returns>Null: no line tells of any of them.</returns>
    public static long? Sum(string told, IReadOnlyList<int> processes)
    {
        string[] owners = [.. processes.Select(static process => $"pid={process},")];
        long sum = 0;
        bool found = false;
        foreach (string line in told.Split('\n'))
        {
            if (!owners.Any(owner => line.Contains(owner, StringComparison.Ordinal))) { continue; }
            const string Sent = "bytes_sent:";
            int at = line.IndexOf(Sent, StringComparison.Ordinal);
            found = true;
            if (at < 0) { continue; }
            int from = at + Sent.Length;
            int to = from;
            while (to < line.Length && char.IsAsciiDigit(line[to])) { to++; }
            sum += long.Parse(line.AsSpan(from, to - from), NumberStyles.None, CultureInfo.InvariantCulture);
        }

        return found ? sum : null;
    }
}
