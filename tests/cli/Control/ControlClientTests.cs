using System.Net.Sockets;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Tests.Control;

/// <summary>What a command makes of a process that is not there, or answers badly.</summary>
public sealed class ControlClientTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Without_a_process_it_says_how_to_start_one()
    {
        CommandException thrown = await AskAsync(folder.Path);
        Assert.Equal(ExitCode.NotRunning, thrown.Code);
        Assert.Contains($"kvfs up --data {folder.Path}", thrown.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_folder_nothing_runs() =>
        Assert.Equal(ExitCode.NotRunning, (await AskAsync(folder.At("missing"))).Code);

    [Fact]
    public async Task A_socket_that_nobody_listens_on_means_that_nothing_runs()
    {
        using (ControlSocket address = ControlSocket.ToServe(folder.Path))
        using (Socket listener = address.Bind())
        {
            address.Publish();
        }
        Assert.Equal(ExitCode.NotRunning, (await AskAsync(folder.Path)).Code);
    }

    [Theory]
    [InlineData("", "ended before it answered")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"a\"", "ended before it answered")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "cannot be read")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull", "cannot be read")]
    [InlineData("HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\n\0\0\0\0", "cannot be read")]
    [InlineData("\0\0\0\0\r\n\r\n", "ended before it answered")]
    public async Task A_bad_answer_is_a_clear_failure(string answer, string expected)
    {
        using ControlSocket address = ControlSocket.ToServe(folder.Path);
        using Socket listener = address.Bind();
        listener.Listen();
        address.Publish();
        Task answering = AnswerAsync(listener, answer);
        CommandException thrown = await AskAsync(folder.Path);
        await answering;
        Assert.Equal(ExitCode.Failure, thrown.Code);
        Assert.Contains(expected, thrown.Message, StringComparison.Ordinal);
    }

    /// <summary>Reads the request and answers with raw bytes, then ends.</summary>
    private static async Task AnswerAsync(Socket listener, string answer)
    {
        using Socket connection = await listener.AcceptAsync();
        await connection.ReceiveAsync(new byte[4096]);
        await connection.SendAsync(System.Text.Encoding.Latin1.GetBytes(answer));
        connection.Shutdown(SocketShutdown.Both);
    }

    private static async Task<CommandException> AskAsync(string dataPath)
    {
        using ControlClient client = new(dataPath);
        return await Assert.ThrowsAsync<CommandException>(() => client.GetStatusAsync(CancellationToken.None));
    }
}
