using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Control;

/// <summary>Reads the lines of an answer.</summary>
internal static class LineReader
{
    /// <summary>Letters of one line: a report of a check lists at most a thousand problems.</summary>
    private const int MaxLineLength = 4 << 20;

    /// <summary>Reports progress until the last line.</summary>
    /// <returns>The result; null if the lines ended without one: whoever wrote them is gone.</returns>
    /// <exception cref="CommandException">The last line is an error, or a line is none of ours.</exception>
    public static async Task<T?> ReadAsync<T>(
        Stream input, JsonTypeInfo<AnswerLine<T>> type, IProgress<ProgressReport> progress,
        CancellationToken cancellationToken)
        where T : class
    {
        using StreamReader lines = new(input, leaveOpen: true);
        while (await lines.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } line)
        {
            AnswerLine<T> answer = Parse(line, type);
            if (answer.Error is not null) { throw ControlErrors.ToException(answer.Error); }
            if (answer is { Result: { } result }) { return result; }
            if (answer.Progress is not null) { progress.Report(answer.Progress); }
        }
        return null;
    }

    private static AnswerLine<T> Parse<T>(string line, JsonTypeInfo<AnswerLine<T>> type)
        where T : class
    {
        try
        {
            return (line.Length <= MaxLineLength ? JsonSerializer.Deserialize(line, type) : null)
                ?? throw new CommandException(ExitCode.Failure, "The answer has a line that is empty or too long.");
        }
        catch (JsonException e)
        {
            throw new CommandException($"The answer has a line that cannot be read: {e.Message}", e);
        }
    }
}
