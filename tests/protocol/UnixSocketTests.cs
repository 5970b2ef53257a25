using System.Net.Sockets;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

public sealed class UnixSocketTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-blocks-").FullName;

    private string SocketPath => Path.Combine(folder, "s");

    [Fact]
    public async Task A_socket_file_has_its_mode_from_the_first_moment_and_goes_with_the_server()
    {
        await using (BlockChannelServer server = NewServer())
        {
            server.Start();
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(SocketPath));
            Assert.Equal([SocketPath], Directory.GetFileSystemEntries(folder));
            await AssertServesAsync();
        }

        Assert.Empty(Directory.GetFileSystemEntries(folder));
    }

    [Fact]
    public async Task A_socket_of_a_process_that_died_is_replaced()
    {
        foreach (string left in (string[])[SocketPath, SocketPath + "~"]) { LeaveSocket(left); }
        await using BlockChannelServer server = NewServer();
        server.Start();
        await AssertServesAsync();
    }

    [Fact]
    public async Task A_socket_on_which_somebody_listens_is_left_alone()
    {
        await using BlockChannelServer server = NewServer();
        server.Start();
        await using BlockChannelServer second = NewServer();
        IOException e = Assert.Throws<IOException>(second.Start);
        Assert.Contains("listens", e.Message, StringComparison.Ordinal);
        await AssertServesAsync();
    }

    [Fact]
    public async Task A_file_that_is_no_socket_is_left_alone()
    {
        await File.WriteAllTextAsync(SocketPath, "precious");
        await using BlockChannelServer server = NewServer();
        IOException e = Assert.Throws<IOException>(server.Start);
        Assert.Contains("is no socket", e.Message, StringComparison.Ordinal);
        Assert.Equal("precious", await File.ReadAllTextAsync(SocketPath));
    }

    [Fact]
    public async Task A_socket_whose_folder_is_missing_is_refused_by_name()
    {
        Directory.Delete(folder);
        await using BlockChannelServer server = NewServer();
        IOException e = Assert.ThrowsAny<IOException>(server.Start);
        Directory.CreateDirectory(folder);
        Assert.Contains(SocketPath, e.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    /// <summary>A socket file without its listener, as a killed process leaves it.</summary>
    private static void LeaveSocket(string path)
    {
        string elsewhere = path + ".bound";
        using (Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            socket.Bind(new UnixDomainSocketEndPoint(elsewhere));
            File.Move(elsewhere, path);  // Or the runtime would remove it with the socket.
        }

        Assert.True(File.Exists(path));
    }

    private BlockChannelServer NewServer() => new(
        new() { Endpoints = [BlockChannelEndpoint.UnixSocket(SocketPath, BlockChannelEndpoint.OwnerOnly)], Pool = ChannelWorld.Pool },
        new BlockTable());

    private async Task AssertServesAsync()
    {
        ConnectOutcome outcome = await BlockChannelClient.ConnectAsync(
            BlockChannelTarget.UnixSocket(SocketPath), ChannelWorld.ClientOptions, CancellationToken.None);
        await using BlockChannelClient client = outcome.Client!;
        Assert.Equal(Status.NotFound, (await client.ReadAsync(1, 0, new byte[1])).Status);
    }
}
