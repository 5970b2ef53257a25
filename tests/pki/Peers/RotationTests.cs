using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc;

namespace KvFs.Pki.Tests.Peers;

/// <summary>Certificates and authorities change while connections stand and new ones are made; nobody is restarted.</summary>
public sealed class RotationTests : IDisposable
{
    private readonly CertificateAuthority authority = CertificateAuthority.Create("prod", TimeProvider.System);
    private readonly CertificateAuthority next = CertificateAuthority.Create("prod", TimeProvider.System);

    [Fact]
    public async Task A_leaf_of_either_side_is_replaced_while_streams_go_on_and_calls_are_made()
    {
        const int rounds = 5;
        using TestPeer server = TestPeer.Node(authority, "n1"), client = TestPeer.Client(authority, "c1");
        await using PeerServer serving = await PeerServer.StartAsync(server.Security, PeerRole.Client);
        using GrpcChannel channel = serving.Connect(client.Security, PeerRole.Node);
        using EchoStream stream = PeerServer.StartEcho(channel);
        await stream.UseAsync();
        HashSet<string> shown = [await ShownByAsync(serving, client)];
        for (int round = 0; round < rounds; round++)
        {
            server.Rotate(authority, authority.Roots);
            Assert.Equal("kvfs://prod/client/c1", await PeerServer.AskAsync(channel));
            client.Rotate(authority, authority.Roots);
            Assert.Equal("kvfs://prod/client/c1", await PeerServer.AskAsync(channel));
            string now = await ShownByAsync(serving, client);
            Assert.Equal(server.Files.Current.Facts.Fingerprint, now);
            Assert.True(shown.Add(now), "a new connection got an old certificate");
            await stream.UseAsync();
        }
    }

    [Fact]
    public async Task An_authority_is_replaced_step_by_step_without_a_refused_call_and_then_counts_no_more()
    {
        using TestPeer server = TestPeer.Node(authority, "n1"), client = TestPeer.Client(authority, "c1");
        using TestPeer forgotten = TestPeer.Client(authority, "c2");
        await using PeerServer serving = await PeerServer.StartAsync(server.Security, PeerRole.Client);
        using GrpcChannel channel = serving.Connect(client.Security, PeerRole.Node);
        using EchoStream stream = PeerServer.StartEcho(channel);
        X509Certificate2Collection both = [next.Roots[0], authority.Roots[0]];
        (TestPeer Peer, CertificateAuthority Signs, X509Certificate2Collection Trusted)[] steps =
        [
            (client, authority, both), (server, authority, both),  // All trust both.
            (server, next, both), (client, next, both),  // All show the new one.
            (client, next, next.Roots), (server, next, next.Roots),  // The old one is forgotten.
        ];
        foreach ((TestPeer peer, CertificateAuthority signs, X509Certificate2Collection trusted) in steps)
        {
            peer.Rotate(signs, trusted);
            Assert.Equal("kvfs://prod/client/c1", await PeerServer.AskAsync(channel));
            await stream.UseAsync();
        }
        await PeerServer.RefusedAsync(
            GrpcTarget.Tcp("127.0.0.1", serving.Port, new ClientTls
            {
                Authorities = () => next.Roots,
                Certificate = () => forgotten.Files.Current.Certificate,
            }),
            GrpcStatusCode.Unavailable);
        await PeerServer.RefusedAsync(forgotten.Security.Target("127.0.0.1", serving.Port, PeerRole.Node), GrpcStatusCode.Unavailable);
        await stream.UseAsync();
    }

    [Fact]
    public async Task A_standing_connection_keeps_what_it_was_made_with_until_it_is_old()
    {
        using TestPeer server = TestPeer.Node(authority, "n1"), client = TestPeer.Client(authority, "c1");
        await using PeerServer serving = await PeerServer.StartAsync(server.Security, PeerRole.Client);
        using GrpcChannel standing = new(
            client.Security.Target("127.0.0.1", serving.Port, PeerRole.Node), new GrpcChannelOptions());
        Assert.Equal("kvfs://prod/client/c1", await PeerServer.AskAsync(standing));
        server.Rotate(next, next.Roots);
        Assert.Equal("kvfs://prod/client/c1", await PeerServer.AskAsync(standing));
        await PeerServer.RefusedAsync(client.Security.Target("127.0.0.1", serving.Port, PeerRole.Node), GrpcStatusCode.Unavailable);
    }

    public void Dispose()
    {
        authority.Dispose();
        next.Dispose();
    }

    /// <summary>The fingerprint of the certificate that a new connection gets to see.</summary>
    private static async Task<string> ShownByAsync(PeerServer serving, TestPeer client)
    {
        using TcpClient socket = new();
        await socket.ConnectAsync("127.0.0.1", serving.Port);
        await using SslStream tls = new(socket.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            ApplicationProtocols = [SslApplicationProtocol.Http2],
            ClientCertificates = [client.Files.Current.Certificate],
            RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null,  // It is compared by who asks.
        });
        using X509Certificate2 shown = X509CertificateLoader.LoadCertificate(tls.RemoteCertificate!.GetRawCertData());
        return CertificateFacts.Of(shown).Fingerprint;
    }
}
