using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace KvFs.Grpc.Tests.Support;

/// <summary>Collects what a server logs as a warning or worse.</summary>
internal sealed class TestLog : ILoggerFactory
{
    private readonly ConcurrentQueue<string> lines = new();

    public IReadOnlyList<string> Lines => [.. lines];

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, lines);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }

    private sealed class Logger(string category, ConcurrentQueue<string> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            // That the machine was busy for a second is no fault of the server.
            if (IsEnabled(logLevel) && eventId.Name != "HeartbeatSlow") { lines.Enqueue($"{logLevel} {category}: {formatter(state, exception)} {exception}"); }
        }
    }
}
