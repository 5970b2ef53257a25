using System.Collections.Concurrent;
using KvFs.Pki.Files;
using Microsoft.Extensions.Logging;

namespace KvFs.Pki.Tests.Support;

/// <summary>Collects what is logged: everything of <see cref="CertificateFiles"/>, warnings and worse of servers.</summary>
internal sealed class LogLines : ILoggerFactory, ILogger<CertificateFiles>
{
    private readonly ConcurrentQueue<(LogLevel Level, string Line)> lines = new();

    public IReadOnlyList<string> Warnings => [.. lines.Where(each => each.Level >= LogLevel.Warning).Select(each => each.Line)];

    public IReadOnlyList<string> Infos => [.. lines.Where(each => each.Level == LogLevel.Information).Select(each => each.Line)];

    public ILogger CreateLogger(string categoryName) => new OfServer(this);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        lines.Enqueue((logLevel, $"{formatter(state, exception)}{exception}"));

    private sealed class OfServer(LogLines all) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            // That the machine was busy for a second is no fault of the server.
            if (IsEnabled(logLevel) && eventId.Name != "HeartbeatSlow") { all.Log(logLevel, eventId, state, exception, formatter); }
        }
    }
}
