using System.Buffers;
using System.Diagnostics.Metrics;
using System.IO.Pipelines;
using KvFs.Metrics;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>The metrics page: everything that meters named KvFs.* measure, and what the server itself knows of its drives.
/// </summary>
internal sealed partial class ServerMetrics : IDisposable
{
    public const string MeterName = "KvFs.Server";

    private readonly NodeServer server;
    private readonly ILogger<ServerMetrics> log;
    private readonly Meter meter = new(MeterName);
    private readonly MetricsPage page;
    private readonly ProcessMetrics process = new();
    private volatile IReadOnlyList<Protocol.DriveInfo> drives = [];

    public ServerMetrics(NodeServer server, ILogger<ServerMetrics> log)
    {
        this.server = server;
        this.log = log;
        page = new MetricsPage(shown => shown.Name.StartsWith("KvFs.", StringComparison.Ordinal));
        meter.CreateObservableGauge(
            "kvfs.build_info", () => new Measurement<int>(1, new KeyValuePair<string, object?>("version", ProductVersion.Text)),
            null, "Always 1; the label has the version.");
        meter.CreateObservableGauge("kvfs.mounts", () => server.Mounts.List().Count, null, "Mounts of this process.");
        meter.CreateObservableGauge(
            "kvfs.drive.quota", () => OfDrives(drive => drive.QuotaBytes), "By",
            "Bytes that the files of a drive may take; 0: no quota.");
        meter.CreateObservableGauge(
            "kvfs.drive.snapshots", () => OfDrives(drive => (ulong?)drive.Snapshots), null, "Snapshots of a drive.");
    }

    /// <summary>Writes the page, with the drives as they are now.</summary>
    /// <exception cref="CommandLine.CommandException">The node is being closed.</exception>
    public async Task WriteAsync(PipeWriter output, CancellationToken cancel)
    {
        ArrayBufferWriter<byte> text = await server.Requests.RunAsync(RenderAsync, cancel).ConfigureAwait(false);
        await output.WriteAsync(text.WrittenMemory, cancel).ConfigureAwait(false);
    }

    public void Dispose()
    {
        page.Dispose();
        process.Dispose();
        meter.Dispose();
    }

    private async Task<ArrayBufferWriter<byte>> RenderAsync(CancellationToken cancel)
    {
        try
        {
            drives = await server.Drives.ListInfosAsync(cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Without its drives the page still says that the node is in trouble.
            drives = [];
            LogNoDrives(e);
        }
        ArrayBufferWriter<byte> text = new();
        foreach (Exception failure in page.Write(text)) { LogFailed(failure); }
        return text;
    }

    /// <param name="value">Null: not known.</param>
    private IEnumerable<Measurement<double>> OfDrives(Func<Protocol.DriveInfo, ulong?> value) =>
        from drive in drives
        let known = value(drive)
        where known is not null
        select new Measurement<double>(known.Value, new KeyValuePair<string, object?>("drive", drive.Name));

    [LoggerMessage(Level = LogLevel.Warning, Message = "The drives cannot be listed for the metrics page.")]
    private partial void LogNoDrives(Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A metric cannot be read.")]
    private partial void LogFailed(Exception exception);
}
