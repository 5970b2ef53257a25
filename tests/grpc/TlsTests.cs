using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests;

/// <summary>TLS and mTLS with certificates that change while server and channel are open.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly TestAuthority authority = new("first");
    private readonly TestAuthority other = new("second");

    [Fact]
    public async Task Both_sides_show_a_certificate_and_the_handler_sees_the_clients()
    {
        await using TestServer server = await TestServer.OverTlsAsync(Mutual(() => authority.Bundle));
        using X509Certificate2 own = authority.IssueClient("node-1");
        using GrpcChannel channel = Connect(server, authority, own);
        Assert.Equal("CN=node-1", await WhoAsync(channel));
    }

    [Fact]
    public async Task Without_client_authorities_nobody_is_asked_for_a_certificate()
    {
        await using TestServer server = await TestServer.OverTlsAsync(new ServerTls { Certificate = Fixed(authority.ServerContext("server")) });
        using GrpcChannel channel = Connect(server, authority, certificate: null);
        Assert.Equal("nobody", await WhoAsync(channel));
    }

    [Fact]
    public async Task A_client_without_a_certificate_or_with_a_strange_one_gets_no_call_through()
    {
        await using TestServer server = await TestServer.OverTlsAsync(Mutual(() => authority.Bundle));
        using X509Certificate2 strange = other.IssueClient("node-1");
        using X509Certificate2 wrongUse = authority.IssueServer("node-1");
        foreach (X509Certificate2? certificate in (X509Certificate2?[])[null, strange, wrongUse])
        {
            using GrpcChannel channel = Connect(server, authority, certificate);
            await AssertUnavailableAsync(channel);
        }
    }

    [Fact]
    public async Task A_server_that_is_not_who_it_should_be_is_not_called()
    {
        await using TestServer server = await TestServer.OverTlsAsync(new ServerTls { Certificate = Fixed(authority.ServerContext("server")) });
        using GrpcChannel stranger = Connect(server, other, certificate: null);
        await AssertUnavailableAsync(stranger);
        using GrpcChannel misnamed = new(
            GrpcTarget.Tcp("127.0.0.1", server.Port, new ClientTls { Authorities = () => authority.Bundle, ServerName = "elsewhere" }),
            new GrpcChannelOptions());
        await AssertUnavailableAsync(misnamed);
        using GrpcChannel system = new(GrpcTarget.Tcp("127.0.0.1", server.Port, new ClientTls()), new GrpcChannelOptions());
        await AssertUnavailableAsync(system);
    }

    [Fact]
    public async Task The_last_word_on_a_server_is_the_callers_own_and_its_reason_is_told()
    {
        await using TestServer server = await TestServer.OverTlsAsync(new ServerTls { Certificate = Fixed(authority.ServerContext("server")) });
        List<string> asked = [];
        GrpcTarget Checked(TestAuthority trusted, string? refusal) => GrpcTarget.Tcp("127.0.0.1", server.Port, new ClientTls
        {
            Authorities = () => trusted.Bundle,
            CheckServer = shown =>
            {
                asked.Add(shown.Subject);
                if (refusal is not null) { throw new AuthenticationException(refusal); }
            },
        });
        using GrpcChannel refusing = new(Checked(authority, "not today"), new GrpcChannelOptions());
        GrpcException failure = await AssertUnavailableAsync(refusing);
        Assert.Contains("not today", failure.Message, StringComparison.Ordinal);
        using GrpcChannel content = new(Checked(authority, refusal: null), new GrpcChannelOptions());
        Assert.Equal("nobody", await WhoAsync(content));
        Assert.Equal(["CN=server", "CN=server"], asked);
        using GrpcChannel stranger = new(Checked(other, refusal: null), new GrpcChannelOptions());
        await AssertUnavailableAsync(stranger);
        Assert.Equal(2, asked.Count);  // Nobody is asked about a certificate that is bad anyway.
    }

    [Fact]
    public async Task Plain_text_does_not_reach_a_listener_with_TLS()
    {
        await using TestServer server = await TestServer.OverTlsAsync(new ServerTls { Certificate = Fixed(authority.ServerContext("server")) });
        using GrpcChannel channel = new(GrpcTarget.TcpPlainText("127.0.0.1", server.Port), new GrpcChannelOptions());
        await AssertUnavailableAsync(channel);
    }

    [Fact]
    public async Task Certificates_and_authorities_change_without_a_restart()
    {
        TestAuthority now = authority;
        await using TestServer server = await TestServer.OverTlsAsync(new ServerTls
        {
            Certificate = () => now.ServerContext("server"),
            ClientAuthorities = () => now.Bundle,
        });
        using X509Certificate2 old = authority.IssueClient("old");
        using X509Certificate2 fresh = other.IssueClient("fresh");
        using GrpcChannel longLived = new(
            GrpcTarget.Tcp("127.0.0.1", server.Port, new ClientTls
            {
                Authorities = () => now.Bundle,
                Certificate = () => now == authority ? old : fresh,
            }),
            new GrpcChannelOptions { MaxConnectionAge = TimeSpan.Zero });
        Assert.Equal("CN=old", await WhoAsync(longLived));
        using GrpcChannel keptOpen = Connect(server, authority, old);
        Assert.Equal("CN=old", await WhoAsync(keptOpen));

        now = other;
        Assert.Equal("CN=fresh", await WhoAsync(longLived));
        Assert.Equal("CN=old", await WhoAsync(keptOpen));  // A connection keeps what it was made with.
        using GrpcChannel late = Connect(server, other, old);
        await AssertUnavailableAsync(late);
    }

    public void Dispose()
    {
        authority.Dispose();
        other.Dispose();
    }

    private static Func<SslStreamCertificateContext> Fixed(SslStreamCertificateContext context) => () => context;

    private ServerTls Mutual(Func<X509Certificate2Collection> clients) =>
        new() { Certificate = Fixed(authority.ServerContext("server")), ClientAuthorities = clients };

    private static GrpcChannel Connect(TestServer server, TestAuthority trusted, X509Certificate2? certificate) => new(
        GrpcTarget.Tcp("127.0.0.1", server.Port, new ClientTls
        {
            Authorities = () => trusted.Bundle,
            Certificate = certificate is null ? null : () => certificate,
        }),
        new GrpcChannelOptions());

    private static async Task<string> WhoAsync(GrpcChannel channel) => Text.Of(
        await channel.UnaryAsync(TestServices.Who, Text.Bytes(""), GrpcCallOptions.None, CancellationToken.None));

    private static async Task<GrpcException> AssertUnavailableAsync(GrpcChannel channel)
    {
        GrpcException failure = await Assert.ThrowsAsync<GrpcException>(() => WhoAsync(channel));
        Assert.Equal(GrpcStatusCode.Unavailable, failure.Code);
        return failure;
    }
}
