using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using KvFs.Cli.Control;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary>What the control channel of a real process makes of requests that none of our commands sends.</summary>
public sealed class ControlChannelTests(RunningInstallation running) : IClassFixture<RunningInstallation>
{
    private readonly Installation installation = running.Installation;

    [Theory]
    [InlineData("GET", "/v1/nothing", null, 400)]
    [InlineData("GET", "/v1/drives/Not_A_Name", null, 400)]
    [InlineData("GET", "/v1/drives/..%2f..%2fetc", null, 400)]
    [InlineData("GET", "/v1/drives/missing", null, 404)]
    [InlineData("DELETE", "/v1/drives/main", null, 409)]
    [InlineData("POST", "/v1/drives", "", 400)]
    [InlineData("POST", "/v1/drives", "null", 400)]
    [InlineData("POST", "/v1/drives", "[]", 400)]
    [InlineData("POST", "/v1/drives", "{\"name\":1}", 400)]
    [InlineData("POST", "/v1/drives", "{\"name\":\"a\",\"extra\":1}", 400)]
    [InlineData("POST", "/v1/drives", "{\"name\":\"main\"}", 409)]
    [InlineData("POST", "/v1/mounts", "{\"drive\":\"main\",\"directory\":\"relative\"}", 400)]
    [InlineData("POST", "/v1/mounts", "{\"drive\":\"missing\",\"directory\":\"/proc/kvfs\"}", 500)]
    [InlineData("POST", "/v1/unmount", "{\"directory\":\"/nowhere\"}", 404)]
    public async Task A_request_that_cannot_be_met_gets_a_status_and_a_reason(
        string method, string path, string? body, int status)
    {
        using HttpClient http = Connect();
        using HttpRequestMessage request = new(new HttpMethod(method), path);
        if (body is not null) { request.Content = new StringContent(body, Encoding.UTF8, "application/json"); }
        using HttpResponseMessage response = await http.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode}: {text}");
        JsonElement error = JsonDocument.Parse(text).RootElement.GetProperty("error");
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task A_body_beyond_the_bound_is_refused_before_it_is_sent()
    {
        string answer = await SendAsync(Encoding.ASCII.GetBytes(
            $"POST /v1/drives HTTP/1.1\r\nHost: kvfs\r\nContent-Length: {ControlServer.MaxBodyBytes + 1}\r\n\r\n"),
            hasMore: true);
        Assert.StartsWith("HTTP/1.1 413", answer, StringComparison.Ordinal);
        await AssertAnswersAsync();
    }

    [Theory]
    [InlineData("GET /" + "{0}" + " HTTP/1.1\r\nHost: kvfs\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: kvfs\r\nX: {0}\r\n\r\n")]
    [InlineData("{0}\r\n\r\n")]
    public async Task Endless_lines_and_headers_are_refused(string format)
    {
        byte[] request = Encoding.ASCII.GetBytes(format.Replace("{0}", new string('a', 200_000), StringComparison.Ordinal));
        string answer = await SendAsync(request);
        Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal), answer);
        await AssertAnswersAsync();
    }

    [Fact]
    public async Task Random_bytes_are_refused_and_nobody_else_notices()
    {
        const int seed = 4711;
        Random random = new(seed);
        for (int round = 0; round < 100; round++)
        {
            byte[] bytes = new byte[random.Next(1, 4096)];
            random.NextBytes(bytes);
            string answer = await SendAsync(bytes);
            Assert.False(answer.StartsWith("HTTP/1.1 2", StringComparison.Ordinal), $"seed {seed}, round {round}");
        }
        await AssertAnswersAsync();
    }

    [Fact]
    public async Task Requests_with_a_few_wrong_bytes_never_break_the_process()
    {
        const int seed = 815;
        Random random = new(seed);
        byte[] request = Encoding.ASCII.GetBytes(
            "POST /v1/drives/main/snapshots/first/restore HTTP/1.1\r\nHost: kvfs\r\nContent-Type: application/json\r\n"
            + "Content-Length: 13\r\nConnection: close\r\n\r\n{\"path\":\"/a\"}");
        for (int round = 0; round < 200; round++)
        {
            byte[] mutated = [.. request];
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                mutated[random.Next(mutated.Length)] = (byte)random.Next(256);
            }
            string answer = await SendAsync(mutated);
            bool isRefused = answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal)
                || answer.StartsWith("HTTP/1.1 505", StringComparison.Ordinal);
            Assert.True(isRefused, $"seed {seed}, round {round}: {answer}");
        }
        await AssertAnswersAsync();
    }

    [Fact]
    public async Task Idle_connections_beyond_the_bound_do_not_lock_commands_out_for_good()
    {
        List<Stream> idle = [];
        try
        {
            for (int count = 0; count < 80; count++)
            {
                idle.Add(await ControlSocket.ConnectAsync(installation.Data, CancellationToken.None));
            }
        }
        finally
        {
            foreach (Stream stream in idle) { await stream.DisposeAsync(); }
        }
        await AssertAnswersAsync();
    }

    [Fact]
    public async Task Many_commands_at_once_are_all_answered()
    {
        await Parallel.ForAsync(0, 200, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (_, cancel) =>
        {
            using ControlClient client = new(installation.Data);
            Assert.Equal("running", (await client.GetStatusAsync(cancel)).State);
        });
    }

    private async Task AssertAnswersAsync()
    {
        using ControlClient client = new(installation.Data);
        Assert.Equal(installation.Pid, (await client.GetStatusAsync(CancellationToken.None)).Pid);
    }

    private HttpClient Connect() => new(new SocketsHttpHandler
    {
        ConnectCallback = (_, cancel) => ControlSocket.ConnectAsync(installation.Data, cancel),
    })
    {
        BaseAddress = new Uri("http://kvfs/"),
    };

    /// <summary>Sends raw bytes, says that no more come unless there are, and reads until the other end has nothing more to
    /// say.</summary>
    private async Task<string> SendAsync(byte[] bytes, bool hasMore = false)
    {
        await using NetworkStream stream =
            (NetworkStream)await ControlSocket.ConnectAsync(installation.Data, CancellationToken.None);
        using MemoryStream answer = new();
        try
        {
            await stream.WriteAsync(bytes);
            if (!hasMore) { stream.Socket.Shutdown(SocketShutdown.Send); }
            await stream.CopyToAsync(answer);
        }
        catch (IOException)
        {
            // It hung up while we were still talking.
        }
        return Encoding.Latin1.GetString(answer.ToArray());
    }
}
