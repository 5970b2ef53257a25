using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;

namespace KvFs.Cli.Commands;

/// <summary>What <c>kvfs up</c> says when it is up.</summary>
internal static class UpView
{
    public static void Show(CommandContext context, StatusReport status, ServerOptions options, bool isForeground) =>
        context.Show(status, ControlJson.Readable.StatusReport, output => Write(output, status, options, isForeground));

    private static void Write(TextWriter output, StatusReport status, ServerOptions options, bool isForeground)
    {
        DriveReport? drive = status.Drives.FirstOrDefault(one => one.Name == options.Drive);
        output.WriteLine($"kvfs is up (pid {status.Pid}).");
        output.WriteLine();
        if (options.MountPath is not null) { output.WriteLine($"  mounted  {options.MountPath}"); }
        output.WriteLine($"  drive    {options.Drive} ({SizeOf(drive)})");
        output.WriteLine($"  data     {status.DataPath}");
        if (status.Nodes.Count > 0)
        {
            output.WriteLine($"  nodes    {string.Join(", ", status.Nodes.Select(static node => $"{node.Name} (pid {node.Pid})"))}");
        }

        output.WriteLine($"  metrics  {(status.Metrics is null ? "off" : status.Metrics + "/metrics")}");
        if (!isForeground) { output.WriteLine($"  log      {Path.Combine(status.DataPath, BackgroundStart.LogName)}"); }
        output.WriteLine();
        WriteIdeas(output, status, options, isForeground);
        output.Flush();
    }

    /// <summary>Commands that can be copied as they are.</summary>
    private static void WriteIdeas(TextWriter output, StatusReport status, ServerOptions options, bool isForeground)
    {
        string program = Environment.ProcessPath ?? "kvfs";
        string data = status.DataPath == DataFolder.Resolve(null) ? string.Empty : $" --data {status.DataPath}";
        output.WriteLine("Try:");
        if (options.MountPath is not null) { output.WriteLine($"  cp -r /usr/include {options.MountPath}/"); }
        output.WriteLine($"  {program} snapshot create {options.Drive} first{data}");
        if (options.MountPath is not null) { output.WriteLine($"  ls {options.MountPath}/.snapshots/first"); }
        if (status.Nodes is [var first, _, ..]) { output.WriteLine($"  kill -9 {first.Pid}   # a node dies; the drive goes on"); }
        output.WriteLine($"  {program} status{data}");
        output.WriteLine(isForeground ? "  Ctrl-C here ends it; the data stays." : $"  {program} down{data}");
    }

    private static string SizeOf(DriveReport? drive)
    {
        string used = SizeText.Format(drive?.UsedBytes ?? 0);
        return drive?.QuotaBytes is { } quota ? $"{used} of {SizeText.Format(quota)} used" : $"{used} used, no quota";
    }
}
