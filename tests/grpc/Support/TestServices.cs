using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using KvFs.Grpc.Tests.Messages;

namespace KvFs.Grpc.Tests.Support;

/// <summary>What the tests call: each form as an echo, and handlers that fail in every way.</summary>
internal sealed class TestServices
{
    private const string Service = "kvfs.test.Echo";

    public static GrpcMethod<Note, Note> Notes { get; } = new(
        GrpcMethodKind.Unary, Service, "Notes", Marshaller.Protobuf(Note.Parser), Marshaller.Protobuf(Note.Parser));

    public static GrpcMethod<Note, Note> NoteStream { get; } = new(
        GrpcMethodKind.Duplex, Service, "NoteStream", Marshaller.Protobuf(Note.Parser), Marshaller.Protobuf(Note.Parser));

    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Unary { get; } = Method(GrpcMethodKind.Unary, "Unary");

    /// <summary>Answers with everything that came, one behind the other.</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Join { get; } = Method(GrpcMethodKind.ClientStreaming, "Join");

    /// <summary>Answers "0", "1", … up to the number that it was given.</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Count { get; } = Method(GrpcMethodKind.ServerStreaming, "Count");

    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Duplex { get; } = Method(GrpcMethodKind.Duplex, "Duplex");

    /// <summary>Fails with the number and text that it was given, and with trailers.</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Fail { get; } = Method(GrpcMethodKind.Unary, "Fail");

    /// <summary>Throws what no handler should.</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Throw { get; } = Method(GrpcMethodKind.Unary, "Throw");

    /// <summary>Sends one message, then fails with ABORTED.</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> FailLate { get; } = Method(GrpcMethodKind.ServerStreaming, "FailLate");

    /// <summary>Sends its headers, then waits until it is cancelled, and notes that in <see cref="Cancelled"/>.</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Hang { get; } = Method(GrpcMethodKind.Duplex, "Hang");

    /// <summary>Waits for <see cref="Gate"/>, deaf to everything else.</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Wait { get; } = Method(GrpcMethodKind.Unary, "Wait");

    /// <summary>Answers with the metadata that came, as headers and as trailers.</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Mirror { get; } = Method(GrpcMethodKind.Unary, "Mirror");

    /// <summary>Answers with the milliseconds that are left, or "none".</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Remaining { get; } = Method(GrpcMethodKind.Unary, "Remaining");

    /// <summary>Answers with the subject of the client's certificate, or "nobody".</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Who { get; } = Method(GrpcMethodKind.Unary, "Who");

    /// <summary>Answers with a message of the length that it was given.</summary>
    public static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Grow { get; } = Method(GrpcMethodKind.Unary, "Grow");

    public TaskCompletionSource Gate { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Set when a handler of <see cref="Wait"/> runs.</summary>
    public TaskCompletionSource Waiting { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>One entry for each handler of <see cref="Hang"/> that saw its cancellation.</summary>
    public BlockingCollection<string> Cancelled { get; } = [];

    /// <summary>Waits until a handler of <see cref="Hang"/> has seen its cancellation.</summary>
    public void AwaitCancelled() => Assert.True(Cancelled.TryTake(out _, TimeSpan.FromSeconds(60)), "no handler was cancelled");

    public GrpcServices Build()
    {
        GrpcServices services = new();
        services.Unary(Notes, (note, _) => new ValueTask<Note>(note));
        services.Duplex(NoteStream, (input, output, call) => EchoAsync(input, output, call));
        services.Unary(Unary, (request, _) => new ValueTask<ReadOnlyMemory<byte>>(request));
        services.ClientStreaming(Join, JoinAsync);
        services.ServerStreaming(Count, CountAsync);
        services.Duplex(Duplex, (input, output, call) => EchoAsync(input, output, call));
        services.Unary(Fail, (request, _) => throw Failure(Text.Of(request)));
        services.Unary(Throw, (_, _) => throw new InvalidOperationException("a secret"));
        services.ServerStreaming(FailLate, FailLateAsync);
        services.Duplex(Hang, HangAsync);
        services.Unary(Wait, WaitAsync);
        services.Unary(Mirror, (request, call) => Reflect(request, call));
        services.Unary(Remaining, (_, call) => Text.Answer(call.Remaining?.TotalMilliseconds.ToString("F0", CultureInfo.InvariantCulture) ?? "none"));
        services.Unary(Who, (_, call) => Text.Answer(call.PeerCertificate?.Subject ?? "nobody"));
        services.Unary(Grow, (request, _) =>
            new ValueTask<ReadOnlyMemory<byte>>(new byte[int.Parse(Text.Of(request), CultureInfo.InvariantCulture)]));
        return services;
    }

    private static GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Method(GrpcMethodKind kind, string name) =>
        new(kind, Service, name, Marshaller.Bytes, Marshaller.Bytes);

    private static async ValueTask EchoAsync<T>(MessageReader<T> input, MessageWriter<T> output, ServerCall call)
    {
        while (await input.WaitToReadAsync(call.Cancellation))
        {
            while (input.TryRead(out T message)) { output.Write(message); }
            await output.FlushAsync(call.Cancellation);
        }
    }

    private static async ValueTask<ReadOnlyMemory<byte>> JoinAsync(MessageReader<ReadOnlyMemory<byte>> input, ServerCall call)
    {
        using MemoryStream joined = new();
        await foreach (ReadOnlyMemory<byte> part in input.ReadAllAsync(call.Cancellation)) { joined.Write(part.Span); }
        return joined.ToArray();
    }

    private static async ValueTask CountAsync(ReadOnlyMemory<byte> request, MessageWriter<ReadOnlyMemory<byte>> output, ServerCall call)
    {
        int end = int.Parse(Text.Of(request), CultureInfo.InvariantCulture);
        for (int number = 0; number < end; number++)
        {
            if (!await output.WriteAsync(Text.Bytes(number.ToString(CultureInfo.InvariantCulture)), call.Cancellation)) { return; }
        }
    }

    private static async ValueTask FailLateAsync(ReadOnlyMemory<byte> request, MessageWriter<ReadOnlyMemory<byte>> output, ServerCall call)
    {
        await output.WriteAsync(request, call.Cancellation);
        call.Trailers.Add("late", "yes");
        throw new GrpcException(GrpcStatusCode.Aborted, "late");
    }

    private static ValueTask<ReadOnlyMemory<byte>> Reflect(ReadOnlyMemory<byte> request, ServerCall call)
    {
        foreach (GrpcMetadataEntry entry in call.RequestHeaders)
        {
            if (entry.Text is { } text)
            {
                call.ResponseHeaders.Add(entry.Name, text);
                call.Trailers.Add("trailing-" + entry.Name, text);
            }
            else
            {
                call.ResponseHeaders.Add(entry.Name, entry.Bytes!);
                call.Trailers.Add("trailing-" + entry.Name, entry.Bytes!);
            }
        }
        return new ValueTask<ReadOnlyMemory<byte>>(request);
    }

    private static GrpcException Failure(string request)
    {
        string[] parts = request.Split(' ', 2);
        GrpcMetadata trailers = [];
        trailers.Add("reason", "asked for");
        trailers.Add(GrpcMetadata.StatusDetails, [8, 5]);
        return new GrpcException(new GrpcStatus((GrpcStatusCode)int.Parse(parts[0], CultureInfo.InvariantCulture), parts[1]), trailers);
    }

    private async ValueTask HangAsync(
        MessageReader<ReadOnlyMemory<byte>> input, MessageWriter<ReadOnlyMemory<byte>> output, ServerCall call)
    {
        TaskCompletionSource over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration registered = call.Cancellation.Register(over.SetResult);

        // Not with the call's own token: the time of a call may be up before its handler comes to this.
        await call.SendHeadersAsync(CancellationToken.None);
        await over.Task;
        Cancelled.Add(call.Path);
        call.Cancellation.ThrowIfCancellationRequested();
    }

    private async ValueTask<ReadOnlyMemory<byte>> WaitAsync(ReadOnlyMemory<byte> request, ServerCall call)
    {
        Waiting.TrySetResult();
        await Gate.Task;
        return request;
    }
}

internal static class Text
{
    public static ReadOnlyMemory<byte> Bytes(string text) => Encoding.UTF8.GetBytes(text);

    public static string Of(ReadOnlyMemory<byte> bytes) => Encoding.UTF8.GetString(bytes.Span);

    public static ValueTask<ReadOnlyMemory<byte>> Answer(string text) => new(Bytes(text));
}
