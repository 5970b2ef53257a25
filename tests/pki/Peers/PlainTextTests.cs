using System.Net;
using KvFs.Grpc;
using KvFs.Peers;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests.Peers;

/// <summary>Without certificates: only for who asks for it, and only where nobody else is on the way.</summary>
public sealed class PlainTextTests
{
    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("127.0.0.1", "localhost")]
    [InlineData("127.0.0.5", "127.0.0.5")]
    [InlineData("::1", "[::1]")]
    public async Task On_loopback_everybody_is_served_as_nobody(string address, string host)
    {
        IPEndPoint at = new(IPAddress.Parse(address), 0);
        await using PeerServer serving = await PeerServer.StartAsync(
            PeerSecurity.PlainTextOnLoopback, PeerSecurity.PlainTextOnLoopback.Endpoint(at), PeerRole.Node);
        using GrpcChannel channel = PeerServer.Connect(PeerSecurity.PlainTextOnLoopback.Target(host, serving.Port, PeerRole.Node));
        Assert.Equal("nobody", await PeerServer.AskAsync(channel));
    }

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("10.0.0.1")]
    [InlineData("::")]
    [InlineData("fd00::1")]
    public void Elsewhere_nobody_listens_or_calls(string address)
    {
        PkiException refused = Assert.Throws<PkiException>(
            () => PeerSecurity.PlainTextOnLoopback.Endpoint(new IPEndPoint(IPAddress.Parse(address), 7000)));
        Assert.Equal(PkiFailure.Invalid, refused.Failure);
        Assert.Contains("loopback only", refused.Message, StringComparison.Ordinal);
        Assert.Throws<PkiException>(() => PeerSecurity.PlainTextOnLoopback.Target(address, 7000, PeerRole.Node));
    }

    [Theory]
    [InlineData("example.org")]
    [InlineData("localhost.example.org")]
    [InlineData("127.0.0.1.example.org")]
    public void A_name_that_may_lead_anywhere_is_not_called(string host) =>
        Assert.Throws<PkiException>(() => PeerSecurity.PlainTextOnLoopback.Target(host, 7000, PeerRole.Node));

    [Fact]
    public async Task Who_has_certificates_and_who_has_none_do_not_talk_to_each_other()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", TimeProvider.System);
        using TestPeer node = TestPeer.Node(authority, "n1");
        await using PeerServer secured = await PeerServer.StartAsync(node.Security, PeerRole.Node);
        await PeerServer.RefusedAsync(
            PeerSecurity.PlainTextOnLoopback.Target("127.0.0.1", secured.Port, PeerRole.Node), GrpcStatusCode.Unavailable);
        await using PeerServer open = await PeerServer.StartAsync(PeerSecurity.PlainTextOnLoopback, PeerRole.Node);
        await PeerServer.RefusedAsync(node.Security.Target("127.0.0.1", open.Port, PeerRole.Node), GrpcStatusCode.Unavailable);
    }

    [Fact]
    public async Task On_a_Unix_socket_the_mode_of_the_file_says_who_may()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", TimeProvider.System);
        using TestPeer node = TestPeer.Node(authority, "n1");
        using TestFolder folder = new();
        await using PeerServer serving = await PeerServer.StartAsync(
            node.Security, GrpcEndpoint.UnixSocket(folder.At("s"), GrpcEndpoint.OwnerOnly), PeerRole.Admin);
        using GrpcChannel channel = PeerServer.Connect(GrpcTarget.UnixSocket(folder.At("s")));
        Assert.Equal("nobody", await PeerServer.AskAsync(channel));
    }
}
