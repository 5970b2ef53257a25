using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>TLS where both sides show certificates, and who is let in.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly TestAuthority authority = new("pool");
    private readonly TestAuthority other = new("other");

    [Fact]
    public async Task Only_whom_the_server_admits_by_its_certificate_is_let_in()
    {
        List<string?> asked = [];
        await using BlockChannelServer server = Start(() => Tls.Server(authority), certificate =>
        {
            lock (asked) { asked.Add(certificate?.Subject); }
            return certificate?.Subject == "CN=node-1";
        });
        using X509Certificate2 first = authority.IssueClient("node-1");
        using X509Certificate2 second = authority.IssueClient("node-2");
        Assert.Null(await ConnectAsync(server, authority, first));
        ChannelEnd refused = (await ConnectAsync(server, authority, second))!;
        Assert.Equal(Status.AccessDenied, refused.Status);
        Assert.Contains("certificate is not admitted", refused.Reason, StringComparison.Ordinal);
        Assert.Equal(["CN=node-1", "CN=node-2"], asked);
    }

    [Fact]
    public async Task A_client_without_a_certificate_or_with_a_strange_one_is_not_let_in()
    {
        await using BlockChannelServer server = Start(() => Tls.Server(authority), static _ => true);
        using X509Certificate2 strange = other.IssueClient("node-1");
        using X509Certificate2 wrongUse = authority.IssueServer("node-1");
        foreach (X509Certificate2? certificate in (X509Certificate2?[])[null, strange, wrongUse])
        {
            Assert.Equal(Status.Unavailable, (await ConnectAsync(server, authority, certificate))!.Status);
        }
    }

    [Fact]
    public async Task A_server_of_a_strange_authority_is_not_spoken_to()
    {
        await using BlockChannelServer server = Start(() => Tls.Server(other), static _ => true);
        using X509Certificate2 certificate = other.IssueClient("node-1");
        Assert.Equal(Status.Unavailable, (await ConnectAsync(server, authority, certificate))!.Status);
    }

    [Fact]
    public async Task Plain_text_gets_nowhere_with_TLS_and_the_other_way_round()
    {
        await using BlockChannelServer server = Start(() => Tls.Server(authority), static _ => true);
        ConnectOutcome plain = await BlockChannelClient.ConnectAsync(
            BlockChannelTarget.TcpPlainText("127.0.0.1", PortOf(server)), ChannelWorld.ClientOptions, CancellationToken.None);
        Assert.NotNull(plain.Failure);
        await using ChannelWorld world = new();
        ConnectOutcome secure = await BlockChannelClient.ConnectAsync(
            BlockChannelTarget.Tcp("127.0.0.1", world.Port, () => Tls.Client(authority, null)), ChannelWorld.ClientOptions, CancellationToken.None);
        Assert.NotNull(secure.Failure);
    }

    [Fact]
    public async Task Certificates_change_without_a_restart()
    {
        TestAuthority now = authority;
        await using BlockChannelServer server = Start(() => Tls.Server(now), static _ => true);
        using X509Certificate2 old = authority.IssueClient("old");
        using X509Certificate2 fresh = other.IssueClient("fresh");
        Assert.Null(await ConnectAsync(server, authority, old));
        now = other;
        Assert.Null(await ConnectAsync(server, other, fresh));
        Assert.NotNull(await ConnectAsync(server, other, old));
    }

    [Fact]
    public async Task A_callback_that_throws_costs_its_connection_only()
    {
        bool throws = true;
        await using BlockChannelServer server = Start(
            () => throws ? throw new InvalidOperationException("planted") : Tls.Server(authority), static _ => true);
        using X509Certificate2 certificate = authority.IssueClient("node-1");
        Assert.NotNull(await ConnectAsync(server, authority, certificate));
        throws = false;
        Assert.Null(await ConnectAsync(server, authority, certificate));
    }

    public void Dispose()
    {
        authority.Dispose();
        other.Dispose();
    }

    private static BlockChannelServer Start(Func<SslServerAuthenticationOptions> tls, Func<X509Certificate2?, bool> admit)
    {
        BlockChannelServer server = new(
            new()
            {
                Endpoints = [BlockChannelEndpoint.Tcp(new(IPAddress.Loopback, 0), tls)],
                Pool = ChannelWorld.Pool,
                Admit = admit,
            },
            new BlockTable());
        server.Start();
        return server;
    }

    private static int PortOf(BlockChannelServer server) => ((IPEndPoint)server.Bound[0]).Port;

    /// <summary>Connects, and asks something: in TLS 1.3 a client learns with the first bytes that it was not let in.</summary>
    /// <returns>Null: the server answered; else why not.</returns>
    private static async Task<ChannelEnd?> ConnectAsync(BlockChannelServer server, TestAuthority trusted, X509Certificate2? certificate)
    {
        BlockChannelTarget target = BlockChannelTarget.Tcp("127.0.0.1", PortOf(server), () => Tls.Client(trusted, certificate));
        ConnectOutcome outcome = await BlockChannelClient.ConnectAsync(target, ChannelWorld.ClientOptions, CancellationToken.None);
        if (outcome.Client is null) { return outcome.Failure; }
        await using BlockChannelClient client = outcome.Client;
        Assert.Equal(Status.NotFound, (await client.ReadAsync(1, 0, new byte[1])).Status);
        return null;
    }
}
