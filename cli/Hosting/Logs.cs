using System.Text.Encodings.Web;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace KvFs.Cli.Hosting;

internal enum LogFormat
{
    Text,
    Json,
}

/// <summary>Where log lines go: always to standard error, so that standard output has results only.</summary>
internal static class Logs
{
    public static ILoggerFactory Create(LogFormat format, LogLevel level) => LoggerFactory.Create(builder =>
    {
        builder.SetMinimumLevel(level);

        // Kestrel reports each connection's ups and downs; only its real trouble is ours.
        builder.AddFilter("Microsoft", LogLevel.Warning);

        // A port that somebody else has is told by us, in a sentence; the host would add its stack.
        builder.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.AddConsole(options =>
        {
            options.FormatterName = format == LogFormat.Json ? ConsoleFormatterNames.Json : ConsoleFormatterNames.Simple;
            options.LogToStandardErrorThreshold = LogLevel.Trace;
        });
        builder.Services.Configure<JsonConsoleFormatterOptions>(options =>
        {
            options.TimestampFormat = "O";
            options.UseUtcTimestamp = true;
            options.JsonWriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        });
        builder.Services.Configure<SimpleConsoleFormatterOptions>(options =>
        {
            options.SingleLine = true;
            options.TimestampFormat = "HH:mm:ss ";
            options.ColorBehavior = Output.Terminal.ErrorHasColors ? LoggerColorBehavior.Default : LoggerColorBehavior.Disabled;
        });
    });
}
