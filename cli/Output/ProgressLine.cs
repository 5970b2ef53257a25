using System.Globalization;
using KvFs.Cli.Control;

namespace KvFs.Cli.Output;

/// <summary>One line on standard error that says how far long work is; nothing unless it is a terminal.</summary>
/// <remarks>Thread safe. The line is gone when this is disposed, so that results stand alone.</remarks>
internal sealed class ProgressLine : IProgress<ProgressReport>, IDisposable
{
    /// <summary>Fast enough to look alive, slow enough to cost nothing.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(80);

    private const string ClearLine = "\r\x1b[K";
    private const int BarWidth = 24;

    private readonly Lock gate = new();
    private readonly TextWriter? output = Terminal.ErrorIsTerminal ? Console.Error : null;
    private readonly TimeProvider clock = TimeProvider.System;
    private long lastShown;
    private string lastActivity = string.Empty;
    private bool isShown;

    public void Report(ProgressReport value)
    {
        if (output is null) { return; }
        lock (gate)
        {
            bool isNew = value.Activity != lastActivity;
            if (!isNew && clock.GetElapsedTime(lastShown) < Pause) { return; }
            lastShown = clock.GetTimestamp();
            lastActivity = value.Activity;
            isShown = true;
            string text = Text(value);

            // A line that wraps could not be cleared.
            output.Write(ClearLine + text[..Math.Min(text.Length, Terminal.Width - 1)]);
            output.Flush();
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (isShown) { output!.Write(ClearLine); }
            isShown = false;
        }
    }

    internal static string Text(ProgressReport report)
    {
        if (report.Total is not > 0)
        {
            return report.Done > 0
                ? string.Create(CultureInfo.InvariantCulture, $"{report.Activity}: {report.Done}")
                : report.Activity + " …";
        }
        double part = Math.Clamp((double)report.Done / report.Total.Value, 0, 1);
        int full = (int)(part * BarWidth);
        string bar = new string('█', full) + new string('░', BarWidth - full);
        return string.Create(CultureInfo.InvariantCulture, $"{report.Activity} {bar} {part * 100,3:0} %");
    }
}
