using System.Net.Sockets;
using KvFs.Grpc.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Grpc.Tests;

/// <summary>The socket file: its mode, and what may be in its place.</summary>
public sealed class UnixSocketTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-grpc-").FullName;

    private string SocketPath => Path.Combine(folder, "csi.sock");

    [Theory]
    [InlineData(UnixFileMode.UserRead | UnixFileMode.UserWrite)]
    [InlineData(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite)]
    public async Task The_file_has_its_mode_and_goes_with_the_server(UnixFileMode mode)
    {
        await using (GrpcServer server = Server(mode))
        {
            await server.StartAsync(CancellationToken.None);
            Assert.Equal(mode, File.GetUnixFileMode(SocketPath));
            Assert.Equal([SocketPath], Directory.GetFileSystemEntries(folder));
            await CallAsync();
        }
        Assert.Empty(Directory.GetFileSystemEntries(folder));
    }

    [Fact]
    public async Task The_longest_path_that_a_socket_can_have_is_taken()
    {
        string path = Path.Combine(folder, new string('x', 107 - folder.Length - 1));
        await using GrpcServer server = new(
            new TestServices().Build(),
            new GrpcServerOptions { Endpoints = [GrpcEndpoint.UnixSocket(path, GrpcEndpoint.OwnerOnly)] },
            NullLoggerFactory.Instance);
        await server.StartAsync(CancellationToken.None);
        using GrpcChannel channel = new(GrpcTarget.UnixSocket(path), new GrpcChannelOptions());
        await channel.UnaryAsync(TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None);
    }

    [Fact]
    public async Task A_file_that_a_dead_process_left_is_replaced()
    {
        LeaveStaleSocket();
        File.Move(SocketPath, SocketPath[..^1] + '~');  // As if it had died while it started.
        LeaveStaleSocket();
        await using GrpcServer server = Server(GrpcEndpoint.OwnerOnly);
        await server.StartAsync(CancellationToken.None);
        await CallAsync();
    }

    [Fact]
    public async Task A_socket_that_somebody_listens_on_is_left_to_them()
    {
        await using GrpcServer first = Server(GrpcEndpoint.OwnerOnly);
        await first.StartAsync(CancellationToken.None);
        await using GrpcServer second = Server(GrpcEndpoint.OwnerOnly);
        IOException refused = await Assert.ThrowsAsync<IOException>(() => second.StartAsync(CancellationToken.None));
        Assert.Contains("listens", refused.Message, StringComparison.Ordinal);
        await CallAsync();
        Assert.Equal([SocketPath], Directory.GetFileSystemEntries(folder));
    }

    [Fact]
    public async Task What_is_no_socket_is_never_replaced()
    {
        File.WriteAllText(SocketPath, "precious");
        await AssertRefusedAsync();
        Assert.Equal("precious", File.ReadAllText(SocketPath));
        File.Delete(SocketPath);

        string target = Path.Combine(folder, "target");
        File.WriteAllText(target, "precious");
        File.CreateSymbolicLink(SocketPath, target);
        await AssertRefusedAsync();
        Assert.Equal("precious", File.ReadAllText(target));
        File.Delete(SocketPath);

        Directory.CreateDirectory(SocketPath);
        await AssertRefusedAsync();
    }

    [Fact]
    public async Task Of_many_that_start_at_once_one_gets_the_socket()
    {
        for (int round = 0; round < 5; round++)
        {
            LeaveStaleSocket();
            GrpcServer[] servers = [.. Enumerable.Range(0, 6).Select(_ => Server(GrpcEndpoint.OwnerOnly))];
            Task<bool>[] starts = [.. servers.Select(server => Task.Run(() => StartsAsync(server)))];
            Assert.Equal(1, (await Task.WhenAll(starts)).Count(started => started));
            await CallAsync();
            foreach (GrpcServer server in servers) { await server.DisposeAsync(); }
            Assert.Empty(Directory.GetFileSystemEntries(folder));
        }
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static async Task<bool> StartsAsync(GrpcServer server)
    {
        try
        {
            await server.StartAsync(CancellationToken.None);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private async Task AssertRefusedAsync()
    {
        await using GrpcServer server = Server(GrpcEndpoint.OwnerOnly);
        await Assert.ThrowsAsync<IOException>(() => server.StartAsync(CancellationToken.None));
    }

    private void LeaveStaleSocket()
    {
        string bound = Path.Combine(folder, "bound");
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(bound));
        File.Move(bound, SocketPath);  // .NET removes the file that it bound, as a process that was killed does not.
    }

    private GrpcServer Server(UnixFileMode mode) => new(
        new TestServices().Build(),
        new GrpcServerOptions { Endpoints = [GrpcEndpoint.UnixSocket(SocketPath, mode)] },
        NullLoggerFactory.Instance);

    private async Task CallAsync()
    {
        using GrpcChannel channel = new(GrpcTarget.UnixSocket(SocketPath), new GrpcChannelOptions());
        await channel.UnaryAsync(TestServices.Unary, Text.Bytes("x"), GrpcCallOptions.None, CancellationToken.None);
    }
}
