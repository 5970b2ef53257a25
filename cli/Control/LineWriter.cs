using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;

namespace KvFs.Cli.Control;

/// <summary>Writes the lines of an answer. Progress is shown when there is room and dropped when the reader is slow; the last
/// line always arrives.</summary>
/// <remarks>Thread safe for reports; one writer.</remarks>
internal sealed class LineWriter<T> : IProgress<ProgressReport>, IAsyncDisposable
    where T : class
{
    private static readonly byte[] LineEnd = "\n"u8.ToArray();

    private readonly Stream output;
    private readonly JsonTypeInfo<AnswerLine<T>> type;

    /// <summary>One report: a newer one makes an older one that nobody saw worthless.</summary>
    private readonly Channel<ProgressReport> reports = Channel.CreateBounded<ProgressReport>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    private readonly Task pump;

    public LineWriter(Stream output, JsonTypeInfo<AnswerLine<T>> type)
    {
        this.output = output;
        this.type = type;
        pump = PumpAsync();
    }

    public void Report(ProgressReport value) => reports.Writer.TryWrite(value);

    public async Task FinishAsync(AnswerLine<T> last)
    {
        reports.Writer.TryComplete();
        await pump.ConfigureAwait(false);
        await WriteAsync(last).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        reports.Writer.TryComplete();
        await pump.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task PumpAsync()
    {
        await foreach (ProgressReport report in reports.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            await WriteAsync(new AnswerLine<T>(Progress: report)).ConfigureAwait(false);
        }
    }

    private async Task WriteAsync(AnswerLine<T> line)
    {
        await output.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(line, type)).ConfigureAwait(false);
        await output.WriteAsync(LineEnd).ConfigureAwait(false);
        await output.FlushAsync().ConfigureAwait(false);
    }
}
