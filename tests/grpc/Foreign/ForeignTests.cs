using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests.Foreign;

/// <summary>Each side of this library against the other side of grpcio, over every transport.</summary>
public sealed class ForeignTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-grpc-").FullName;
    private readonly TestAuthority authority = new("both");

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    [InlineData("mtls")]
    public async Task A_foreign_client_finds_nothing_wrong_with_our_server(string transport)
    {
        await using TestServer server = transport == "mtls"
            ? await TestServer.OverTlsAsync(new ServerTls { Certificate = Shown(), ClientAuthorities = () => authority.Bundle })
            : await TestServer.OverAsync(transport);
        using X509Certificate2 own = authority.IssueClient("foreign");
        string[] files = transport == "mtls" ? ForeignPeer.WriteCertificates(folder, authority, own) : [];
        string target = transport == "unix" ? $"unix:{server.SocketPath}" : $"localhost:{server.Port}";
        Assert.Equal("done", await ForeignPeer.RunClientAsync([target, .. files]));
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    [InlineData("mtls")]
    public async Task Our_client_finds_nothing_wrong_with_a_foreign_server(string transport)
    {
        string path = Path.Combine(folder, "s");
        using X509Certificate2 shown = authority.IssueServer("foreign");
        using X509Certificate2 own = authority.IssueClient("node-1");
        string[] files = transport == "mtls" ? ForeignPeer.WriteCertificates(folder, authority, shown) : [];
        (ForeignPeer peer, int port) = await ForeignPeer.StartServerAsync([transport == "unix" ? $"unix:{path}" : "localhost:0", .. files]);
        using (peer)
        {
            ClientTls tls = new() { Authorities = () => authority.Bundle, Certificate = () => own };
            using GrpcChannel channel = new(
                transport switch
                {
                    "unix" => GrpcTarget.UnixSocket(path),
                    "mtls" => GrpcTarget.Tcp("localhost", port, tls),
                    _ => GrpcTarget.TcpPlainText("localhost", port),
                },
                new GrpcChannelOptions());
            await CheckFormsAsync(channel);
            await CheckMetadataAsync(channel);
            await CheckEndsAsync(channel);
            Assert.Equal(transport == "mtls" ? "CN=node-1" : "nobody", Text.Of(await UnaryAsync(channel, TestServices.Who, "")));
        }
    }

    public void Dispose()
    {
        authority.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private static async Task CheckFormsAsync(GrpcChannel channel)
    {
        foreach (int length in (int[])[0, 1, 16_384, 4 << 20])
        {
            byte[] bytes = new byte[length];
            new Random(length).NextBytes(bytes);
            Assert.True((await channel.UnaryAsync(TestServices.Unary, bytes, GrpcCallOptions.None, CancellationToken.None)).Span.SequenceEqual(bytes));
        }
        using var join = channel.Start(TestServices.Join, GrpcCallOptions.None, CancellationToken.None);
        foreach (string part in (string[])["a", "", "bc"]) { join.Requests!.Write(Text.Bytes(part)); }
        await join.CompleteAsync();
        Assert.Equal("abc", Text.Of(await join.ReadOnlyOneAsync()));

        using var count = channel.ServerStreaming(TestServices.Count, Text.Bytes("2000"), GrpcCallOptions.None, CancellationToken.None);
        List<string> numbers = [];
        await foreach (ReadOnlyMemory<byte> number in count.ReadAllAsync(CancellationToken.None)) { numbers.Add(Text.Of(number)); }
        Assert.Equal(Enumerable.Range(0, 2000).Select(number => $"{number}"), numbers);

        using var duplex = channel.Start(TestServices.Duplex, GrpcCallOptions.None, CancellationToken.None);
        for (int round = 0; round < 100; round++)
        {
            await duplex.Requests!.WriteAsync(Text.Bytes($"{round}"), CancellationToken.None);
            Assert.True(await duplex.WaitToReadAsync());
            Assert.True(duplex.TryRead(out ReadOnlyMemory<byte> answer));
            Assert.Equal($"{round}", Text.Of(answer));
        }
        await duplex.CompleteAsync();
        Assert.False(await duplex.WaitToReadAsync());

        ReadOnlyMemory<byte> zeros = new byte[100_000];
        GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> compressed =
            new(GrpcMethodKind.Unary, TestServices.Unary.Service, "Compressed", Marshaller.Bytes, Marshaller.Bytes);
        foreach (bool gzip in (bool[])[false, true])
        {
            GrpcCallOptions options = new() { Gzip = gzip };
            Assert.True((await channel.UnaryAsync(compressed, zeros, options, CancellationToken.None)).Span.SequenceEqual(zeros.Span));
        }
    }

    private static async Task CheckMetadataAsync(GrpcChannel channel)
    {
        GrpcMetadata sent = [];
        sent.Add("x-text", "some, text");
        sent.Add("x-bytes-bin", [0, 255, 10]);
        using var call = channel.Start(TestServices.Mirror, new GrpcCallOptions { Headers = sent }, CancellationToken.None);
        await call.Requests!.WriteAsync(Text.Bytes("m"), CancellationToken.None);
        await call.CompleteAsync();
        GrpcMetadata headers = await call.GetHeadersAsync();
        Assert.Equal("some, text", headers.Get("x-text"));
        Assert.Equal([0, 255, 10], headers.GetBytes("x-bytes-bin"));
        await call.ReadOnlyOneAsync();
        Assert.Equal("some, text", call.Trailers.Get("trailing-x-text"));
        Assert.Equal([0, 255, 10], call.Trailers.GetBytes("trailing-x-bytes-bin"));
    }

    private static async Task CheckEndsAsync(GrpcChannel channel)
    {
        for (int code = 1; code <= 16; code++)
        {
            GrpcException failure = await FailureAsync(channel, TestServices.Fail, $"{code} 100% ü\n", (GrpcStatusCode)code);
            Assert.Equal("100% ü\n", failure.Status.Detail);
            Assert.Equal("asked for", failure.Trailers.Get("reason"));
            Assert.Equal([8, 5], failure.Trailers.GetBytes(GrpcMetadata.StatusDetails));
        }
        await FailureAsync(channel, TestServices.Throw, "", GrpcStatusCode.Unknown);
        await FailureAsync(channel, TestServices.Wait, "", GrpcStatusCode.Unimplemented);
        await FailureAsync(channel, TestServices.Grow, $"{(4 << 20) + 1}", GrpcStatusCode.ResourceExhausted);
        using var late = channel.ServerStreaming(TestServices.FailLate, Text.Bytes("first"), GrpcCallOptions.None, CancellationToken.None);
        Assert.True(await late.WaitToReadAsync());
        Assert.True(late.TryRead(out _));
        Assert.Equal(GrpcStatusCode.Aborted, (await Assert.ThrowsAsync<GrpcException>(() => late.WaitToReadAsync().AsTask())).Code);

        GrpcCallOptions hour = new() { Timeout = TimeSpan.FromHours(1) };
        string left = Text.Of(await channel.UnaryAsync(TestServices.Remaining, Text.Bytes(""), hour, CancellationToken.None));
        Assert.InRange(int.Parse(left, System.Globalization.CultureInfo.InvariantCulture), 1, 3_600_000);
        using var hang = channel.Start(
            TestServices.Hang, new GrpcCallOptions { Timeout = TimeSpan.FromMilliseconds(300) }, CancellationToken.None);
        GrpcException over = await Assert.ThrowsAsync<GrpcException>(() => hang.WaitToReadAsync().AsTask());
        Assert.Equal(GrpcStatusCode.DeadlineExceeded, over.Code);
        using CancellationTokenSource source = new();
        using var cancelled = channel.Start(TestServices.Hang, GrpcCallOptions.None, source.Token);
        await cancelled.GetHeadersAsync();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.WaitToReadAsync().AsTask());
    }

    private Func<System.Net.Security.SslStreamCertificateContext> Shown()
    {
        System.Net.Security.SslStreamCertificateContext context = authority.ServerContext("server");
        return () => context;
    }

    private static ValueTask<ReadOnlyMemory<byte>> UnaryAsync(
        GrpcChannel channel, GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> method, string request) =>
        channel.UnaryAsync(method, Text.Bytes(request), GrpcCallOptions.None, CancellationToken.None);

    private static async Task<GrpcException> FailureAsync(
        GrpcChannel channel, GrpcMethod<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> method, string request, GrpcStatusCode code)
    {
        GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() => UnaryAsync(channel, method, request).AsTask());
        Assert.Equal(code, failure.Code);
        return failure;
    }
}
