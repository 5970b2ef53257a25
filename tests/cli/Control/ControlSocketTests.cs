using System.Net.Sockets;
using KvFs.Cli.Control;

namespace KvFs.Cli.Tests.Control;

public sealed class ControlSocketTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("data")]
    [InlineData("a-folder-whose-name-is-so-long-that-the-path-of-a-socket-in-it-does-not-fit-into-the-address-of-a-unix-socket")]
    public async Task A_command_reaches_whoever_listens_however_long_the_path_is(string name)
    {
        string data = folder.At(name);
        Directory.CreateDirectory(data);
        using ControlSocket address = ControlSocket.ToServe(data);
        using Socket listener = address.Bind();
        listener.Listen();
        address.Publish();

        await using Stream client = await ControlSocket.ConnectAsync(data, CancellationToken.None);
        using Socket accepted = await listener.AcceptAsync();
        await client.WriteAsync("x"u8.ToArray());
        Assert.Equal(1, await accepted.ReceiveAsync(new byte[8]));
    }

    [Fact]
    public void Only_the_owner_may_connect()
    {
        using ControlSocket address = ControlSocket.ToServe(folder.Path);
        using Socket listener = address.Bind();
        address.Publish();
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(folder.At(ControlSocket.FileName)));
    }

    [Fact]
    public async Task The_socket_of_a_dead_process_is_replaced()
    {
        File.WriteAllText(folder.At(ControlSocket.FileName), "left behind");
        using ControlSocket address = ControlSocket.ToServe(folder.Path);
        using Socket listener = address.Bind();
        listener.Listen();
        address.Publish();
        await using Stream client = await ControlSocket.ConnectAsync(folder.Path, CancellationToken.None);
    }

    [Fact]
    public async Task Closing_a_socket_that_was_withdrawn_leaves_its_successors_alone()
    {
        ControlSocket first = ControlSocket.ToServe(folder.Path);
        Socket firstListener = first.Bind();
        firstListener.Listen();
        first.Publish();
        first.Withdraw();

        using ControlSocket second = ControlSocket.ToServe(folder.Path);
        using Socket secondListener = second.Bind();
        secondListener.Listen();
        second.Publish();
        firstListener.Dispose();
        first.Dispose();
        await using Stream client = await ControlSocket.ConnectAsync(folder.Path, CancellationToken.None);
    }
}
