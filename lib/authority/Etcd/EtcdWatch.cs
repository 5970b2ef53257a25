using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace KvFs.Authority;

/// <summary>What a watch of one key says.</summary>
internal enum EtcdEventKind
{
    /// <summary>It stands, and has nothing yet.</summary>
    Opened,

    /// <summary>The key was put.</summary>
    Put,

    /// <summary>The key was deleted.</summary>
    Deleted,

    /// <summary>It ended, because what it should have begun with was compacted away.</summary>
    Compacted,
}

internal readonly record struct EtcdEvent(EtcdEventKind Kind, EtcdValue Value);

/// <summary>Watches one key, on one connection to one member.</summary>
/// <remarks>The gateway sends one JSON object a line.</remarks>
internal static class EtcdWatch
{
    /// <summary>Bytes of one line: a map in base64, with room.</summary>
    private const int MaxLineBytes = 16 << 20;

    /// <summary>Everything from a revision of the store on. Ends when the member ends it, or after a
    /// compaction.</summary>
    /// <exception cref="HttpRequestException">The member cannot be reached.</exception>
    /// <exception cref="IOException">The connection broke.</exception>
    /// <exception cref="JsonException">It is not etcd that talks.</exception>
    /// <exception cref="TimeoutException">Nothing was said for so long.</exception>
    internal static async IAsyncEnumerable<EtcdEvent> RunAsync(
        EtcdGateway gateway,
        EtcdOptions options,
        byte[] key,
        long start,
        [EnumeratorCancellation] CancellationToken cancellation)
    {
        using HttpResponseMessage response = await InTimeAsync(
            token => gateway.OpenAsync("/v3/watch", EtcdJson.Watch(key, start), token),
            options.AttemptTime,
            options.Clock,
            cancellation);
        PipeReader lines = PipeReader.Create(await response.Content.ReadAsStreamAsync(cancellation));
        try
        {
            TimeSpan patience = options.AttemptTime;
            while (await InTimeAsync(token => ReadLineAsync(lines, token), patience, options.Clock, cancellation) is { } line)
            {
                patience = options.QuietTime;
                foreach (EtcdEvent said in Read(line))
                {
                    yield return said;
                    if (said.Kind == EtcdEventKind.Compacted) { yield break; }
                }
            }
        }
        finally
        {
            await lines.CompleteAsync();
        }
    }

    /// <summary>What one line says.</summary>
    /// <exception cref="JsonException">It is none of a watch.</exception>
    internal static List<EtcdEvent> Read(ReadOnlyMemory<byte> line)
    {
        using JsonDocument document = EtcdJson.Parse(line);
        JsonElement result = EtcdJson.Get(document.RootElement, "result");
        if (result.ValueKind != JsonValueKind.Object) { throw new JsonException("A line of a watch has no result."); }
        if (EtcdJson.Number(EtcdJson.Get(result, "compact_revision")) > 0) { return [new(EtcdEventKind.Compacted, default)]; }
        if (EtcdJson.IsTrue(EtcdJson.Get(result, "canceled"))) { throw new JsonException("The watch was canceled."); }
        if (EtcdJson.IsTrue(EtcdJson.Get(result, "created"))) { return [new(EtcdEventKind.Opened, default)]; }
        List<EtcdEvent> events = [];
        foreach (JsonElement said in EtcdJson.Items(EtcdJson.Get(result, "events")))
        {
            // A put has no type, because its number is zero.
            bool isDeleted = EtcdJson.Text(EtcdJson.Get(said, "type")) == "DELETE";
            events.Add(isDeleted
                ? new(EtcdEventKind.Deleted, default)
                : new(EtcdEventKind.Put, EtcdJson.Value(EtcdJson.Get(said, "kv"))));
        }

        return events;
    }

    private static async Task<byte[]?> ReadLineAsync(PipeReader lines, CancellationToken cancellation)
    {
        while (true)
        {
            ReadResult read = await lines.ReadAsync(cancellation);
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                byte[] line = read.Buffer.Slice(0, end).ToArray();
                lines.AdvanceTo(read.Buffer.GetPosition(1, end));
                return line;
            }

            if (read.IsCompleted) { return null; }
            if (read.Buffer.Length > MaxLineBytes) { throw new JsonException("A line of a watch has no end."); }
            lines.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private static async Task<T> InTimeAsync<T>(
        Func<CancellationToken, Task<T>> call, TimeSpan time, TimeProvider clock, CancellationToken cancellation)
    {
        using CancellationTokenSource late = new(time, clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        try
        {
            return await call(either.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"Nothing was said for {time.TotalSeconds} seconds.");
        }
    }
}
