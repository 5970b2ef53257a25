using System.Globalization;
using Google.Protobuf;
using KvFs.Grpc.Tests.Messages;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests;

public sealed class FourFormsTests
{
    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public async Task One_request_has_one_response(string transport)
    {
        await using TestServer server = await TestServer.OverAsync(transport);
        using GrpcChannel channel = server.Connect();
        Note note = new() { Text = "hello", Number = -5, Data = ByteString.CopyFrom(1, 2, 3), Parts = { new Note { Text = "part" } } };
        Assert.Equal(note, await channel.UnaryAsync(TestServices.Notes, note, GrpcCallOptions.None, CancellationToken.None));
        Assert.Equal(new Note(), await channel.UnaryAsync(TestServices.Notes, new Note(), GrpcCallOptions.None, CancellationToken.None));
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public async Task A_stream_of_requests_has_one_response(string transport)
    {
        await using TestServer server = await TestServer.OverAsync(transport);
        using GrpcChannel channel = server.Connect();
        using var call = channel.Start(TestServices.Join, GrpcCallOptions.None, CancellationToken.None);
        foreach (string part in (string[])["a", "", "bc"]) { Assert.True(await call.Requests!.WriteAsync(Text.Bytes(part), CancellationToken.None)); }
        await call.CompleteAsync();
        Assert.Equal("abc", Text.Of(await call.ReadOnlyOneAsync()));
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public async Task One_request_has_a_stream_of_responses(string transport)
    {
        await using TestServer server = await TestServer.OverAsync(transport);
        using GrpcChannel channel = server.Connect();
        using var call = channel.ServerStreaming(TestServices.Count, Text.Bytes("1000"), GrpcCallOptions.None, CancellationToken.None);
        int next = 0;
        await foreach (ReadOnlyMemory<byte> message in call.ReadAllAsync(CancellationToken.None))
        {
            Assert.Equal(next++, int.Parse(Text.Of(message), CultureInfo.InvariantCulture));
        }
        Assert.Equal(1000, next);
        Assert.Null(call.Requests);
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public async Task Both_directions_of_a_duplex_call_take_turns(string transport)
    {
        await using TestServer server = await TestServer.OverAsync(transport);
        using GrpcChannel channel = server.Connect();
        using var call = channel.Start(TestServices.NoteStream, GrpcCallOptions.None, CancellationToken.None);
        for (int number = 0; number < 200; number++)
        {
            await call.Requests!.WriteAsync(new Note { Number = number }, CancellationToken.None);
            Assert.True(await call.WaitToReadAsync());
            Assert.True(call.TryRead(out Note answer));
            Assert.Equal(number, answer.Number);
        }
        await call.CompleteAsync();
        Assert.False(await call.WaitToReadAsync());
    }

    [Fact]
    public async Task Messages_that_were_written_together_arrive_without_a_flush_each()
    {
        await using TestServer server = await TestServer.OverUnixAsync();
        using GrpcChannel channel = server.Connect();
        using var call = channel.Start(TestServices.NoteStream, GrpcCallOptions.None, CancellationToken.None);
        for (int number = 0; number < 500; number++) { call.Requests!.Write(new Note { Number = number }); }
        Assert.Equal(500 * 5, call.Requests!.UnflushedBytes - Enumerable.Range(0, 500).Sum(number => new Note { Number = number }.CalculateSize()));
        Assert.True(await call.Requests.FlushAsync(CancellationToken.None));
        Assert.Equal(0, call.Requests.UnflushedBytes);
        for (int read = 0; read < 500;)
        {
            Assert.True(await call.WaitToReadAsync());
            while (call.TryRead(out Note answer)) { Assert.Equal(read++, answer.Number); }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16_384)]
    [InlineData(70_000)]
    [InlineData(4 << 20)]
    public async Task A_message_of_any_length_below_the_limit_comes_back_as_it_was(int length)
    {
        await using TestServer server = await TestServer.OverTcpAsync();
        using GrpcChannel channel = server.Connect();
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        ReadOnlyMemory<byte> answer = await channel.UnaryAsync(TestServices.Unary, bytes, GrpcCallOptions.None, CancellationToken.None);
        Assert.True(answer.Span.SequenceEqual(bytes));
        using var call = channel.Start(TestServices.Duplex, GrpcCallOptions.None, CancellationToken.None);
        await call.Requests!.WriteAsync(bytes, CancellationToken.None);
        await call.CompleteAsync();
        Assert.True((await call.ReadOnlyOneAsync()).Span.SequenceEqual(bytes));
    }

    [Fact]
    public async Task A_method_is_called_and_handled_as_what_it_is()
    {
        GrpcServices services = new();
        Assert.Throws<ArgumentException>(() => services.Unary(TestServices.Duplex, (request, _) => new ValueTask<ReadOnlyMemory<byte>>(request)));
        services.Unary(TestServices.Unary, (request, _) => new ValueTask<ReadOnlyMemory<byte>>(request));
        Assert.Throws<ArgumentException>(() => services.Unary(TestServices.Unary, (request, _) => new ValueTask<ReadOnlyMemory<byte>>(request)));
        using GrpcChannel channel = new(GrpcTarget.TcpPlainText("127.0.0.1", 1), new GrpcChannelOptions());
        await Assert.ThrowsAsync<ArgumentException>(() =>
            channel.UnaryAsync(TestServices.Join, Text.Bytes(""), GrpcCallOptions.None, CancellationToken.None).AsTask());
    }
}
