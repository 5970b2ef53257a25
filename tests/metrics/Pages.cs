using System.Buffers;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text;
using KvFs.Metrics;

namespace KvFs.Metrics.Tests;

/// <summary>A meter of one test and the page that shows it alone.</summary>
internal sealed class TestPage : IDisposable
{
    private readonly MetricsPage page;

    public TestPage()
    {
        Meter = new Meter("test-" + Guid.NewGuid().ToString("N"));
        page = new MetricsPage(meter => meter == Meter);
    }

    public Meter Meter { get; }

    public int Conflicts => page.Conflicts;

    public IReadOnlyList<Exception> Failures { get; private set; } = [];

    public string Read()
    {
        ArrayBufferWriter<byte> output = new();
        Failures = page.Write(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    /// <summary>The lines of the page that are samples.</summary>
    public string[] Samples() =>
        [.. Read().Split('\n').Where(line => line.Length > 0 && line[0] != '#')];

    public void Dispose()
    {
        page.Dispose();
        Meter.Dispose();
    }
}

/// <summary>Debian's promtool: the judge of what a page may look like.</summary>
internal static class Promtool
{
    /// <summary>Feeds a page to <c>promtool check metrics</c>; empty if it has nothing to say.</summary>
    public static async Task<string> CheckAsync(string page)
    {
        ProcessStartInfo start = new("promtool", ["check", "metrics"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        await process.StandardInput.WriteAsync(page);
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        string said = await output + await errors;
        return process.ExitCode == 0 ? said : $"exit code {process.ExitCode}: {said}";
    }
}
