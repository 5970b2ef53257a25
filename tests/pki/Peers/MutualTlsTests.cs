using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc;
using KvFs.Peers;
using KvFs.Pki.Files;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests.Peers;

/// <summary>Peers with certificates, over gRPC on real sockets: who is let in, and by whom.</summary>
public sealed class MutualTlsTests : IDisposable
{
    private readonly CertificateAuthority authority = CertificateAuthority.Create("prod", TimeProvider.System);
    private readonly CertificateAuthority other = CertificateAuthority.Create("prod", TimeProvider.System);

    [Fact]
    public async Task Both_sides_know_who_the_other_is()
    {
        using TestPeer server = TestPeer.Node(authority, "n1"), node = TestPeer.Node(authority, "n2");
        using TestPeer client = TestPeer.Client(authority, "c1");
        await using PeerServer serving = await PeerServer.StartAsync(server.Security, PeerRole.Node, PeerRole.Client);
        Assert.Equal("kvfs://prod/client/c1", await serving.AskOnceAsync(client.Security));
        Assert.Equal("kvfs://prod/node/n2", await serving.AskOnceAsync(node.Security));
        using GrpcChannel byName = PeerServer.Connect(client.Security.Target("localhost", serving.Port, PeerRole.Node));
        Assert.Equal("kvfs://prod/client/c1", await PeerServer.AskAsync(byName));
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_refused()
    {
        using TestPeer server = TestPeer.Node(authority, "n1");
        await using PeerServer serving = await PeerServer.StartAsync(server.Security, PeerRole.Client);
        await PeerServer.RefusedAsync(
            GrpcTarget.Tcp("127.0.0.1", serving.Port, new ClientTls { Authorities = () => authority.Roots }), GrpcStatusCode.Unavailable);
    }

    [Fact]
    public async Task A_client_of_another_authority_is_refused()
    {
        using TestPeer server = TestPeer.Node(authority, "n1"), stranger = TestPeer.Client(other, "c1");
        await using PeerServer serving = await PeerServer.StartAsync(server.Security, PeerRole.Client);
        await PeerServer.RefusedAsync(
            GrpcTarget.Tcp("127.0.0.1", serving.Port, new ClientTls
            {
                Authorities = () => authority.Roots,
                Certificate = () => stranger.Files.Current.Certificate,
            }),
            GrpcStatusCode.Unavailable);
    }

    [Fact]
    public async Task Certificates_that_have_ended_are_refused_on_either_side_and_one_for_servers_is_no_clients()
    {
        using CertificateAuthority old = CertificateAuthority.Create("prod", new LongAgo());
        using TestPeer server = TestPeer.Node(old, "n1");
        using IssuedCertificate ended = old.Issue(Request(PeerUsages.Client));
        using TestFolder folder = new();
        old.Save(folder.Path);
        using CertificateAuthority now = CertificateAuthority.Load(folder.Path, TimeProvider.System);
        using IssuedCertificate good = now.Issue(Request(PeerUsages.Client)), wrongSide = now.Issue(Request(PeerUsages.Server));
        await using PeerServer serving = await PeerServer.StartAsync(server.Security, PeerRole.Client);
        GrpcTarget With(IssuedCertificate shown) => GrpcTarget.Tcp("127.0.0.1", serving.Port, new ClientTls
        {
            Authorities = () => now.Roots,
            Certificate = () => shown.Certificate,
        });
        await PeerServer.RefusedAsync(With(good), GrpcStatusCode.Unavailable);  // The server's own has ended.
        server.Rotate(now, now.Roots);
        await PeerServer.RefusedAsync(With(ended), GrpcStatusCode.Unavailable);
        await PeerServer.RefusedAsync(With(wrongSide), GrpcStatusCode.Unavailable);
        using GrpcChannel channel = PeerServer.Connect(With(good));
        Assert.Equal("kvfs://prod/client/c1", await PeerServer.AskAsync(channel));
    }

    [Fact]
    public async Task A_client_of_another_pool_or_role_or_of_none_is_refused_with_the_reason()
    {
        using TestFolder folder = new();
        using CertificateAuthority corporate = LoadCorporate(folder);
        using TestPeer server = TestPeer.Node(corporate, "n1");
        using TestPeer elsewhere = new(corporate, new PeerIdentity("test", PeerRole.Client, "c1"));
        using TestPeer admin = new(corporate, new PeerIdentity("prod", PeerRole.Admin, "alice"));
        await using PeerServer serving = await PeerServer.StartAsync(server.Security, PeerRole.Client, PeerRole.Node);
        GrpcTarget With(X509Certificate2 shown) => GrpcTarget.Tcp("127.0.0.1", serving.Port, new ClientTls
        {
            Authorities = () => corporate.Roots,
            Certificate = () => shown,
        });
        GrpcException refused = await PeerServer.RefusedAsync(With(elsewhere.Files.Current.Certificate), GrpcStatusCode.Unauthenticated);
        Assert.Contains("is of pool 'test', and this is pool 'prod'", refused.Message, StringComparison.Ordinal);
        refused = await PeerServer.RefusedAsync(With(admin.Files.Current.Certificate), GrpcStatusCode.PermissionDenied);
        Assert.Contains("kvfs://prod/admin/alice may not call", refused.Message, StringComparison.Ordinal);
        using X509Certificate2 anonymous = Anonymous(folder);
        refused = await PeerServer.RefusedAsync(With(anonymous), GrpcStatusCode.Unauthenticated);
        Assert.Contains("has no URI kvfs://", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_refuses_a_server_of_another_authority_pool_role_side_or_name()
    {
        using TestFolder folder = new();
        using CertificateAuthority corporate = LoadCorporate(folder);
        using TestPeer client = TestPeer.Client(corporate, "c1");
        using TestPeer good = TestPeer.Node(corporate, "n1"), stranger = TestPeer.Node(other, "n1");
        using TestPeer elsewhere = new(corporate, new PeerIdentity("test", PeerRole.Node, "n1"));
        using TestPeer notServing = new(corporate, new PeerIdentity("prod", PeerRole.Node, "n1"), PeerUsages.Client);
        using TestPeer posing = new(corporate, new PeerIdentity("prod", PeerRole.Client, "n1"));
        (TestPeer Server, string Host, string Reason)[] refusals =
        [
            (stranger, "127.0.0.1", "RemoteCertificateValidationCallback"),
            (notServing, "127.0.0.1", "RemoteCertificateValidationCallback"),
            (good, "127.0.0.2", "RemoteCertificateValidationCallback"),
            (elsewhere, "127.0.0.1", "is of pool 'test'"),
            (posing, "127.0.0.1", "kvfs://prod/client/n1 is not what should serve here"),
        ];
        foreach ((TestPeer server, string host, string reason) in refusals)
        {
            await using PeerServer serving = await PeerServer.StartAsync(
                server.Security, server.Security.Endpoint(new IPEndPoint(IPAddress.Any, 0)), PeerRole.Client);
            GrpcException refused = await PeerServer.RefusedAsync(
                client.Security.Target(host, serving.Port, PeerRole.Node), GrpcStatusCode.Unavailable);
            Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
        }
        await using PeerServer known = await PeerServer.StartAsync(good.Security, PeerRole.Client);
        Assert.Equal("kvfs://prod/client/c1", await known.AskOnceAsync(client.Security));
    }

    [Fact]
    public void A_peer_whose_own_certificate_is_of_another_pool_does_not_start()
    {
        using TestPeer peer = TestPeer.Node(authority, "n1");
        PkiException refused = Assert.Throws<PkiException>(() => PeerSecurity.ByCertificates(peer.Files, "test"));
        Assert.Equal(PkiFailure.Foreign, refused.Failure);
        Assert.Contains("is of pool 'prod', and this is pool 'test'", refused.Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        authority.Dispose();
        other.Dispose();
    }

    private static LeafRequest Request(PeerUsages usages) => new()
    {
        Identity = new PeerIdentity("prod", PeerRole.Client, "c1"),
        DnsNames = ["localhost"],
        Usages = usages,
        Validity = TimeSpan.FromDays(30),
    };

    /// <summary>An authority from elsewhere, which signs for several pools.</summary>
    private static CertificateAuthority LoadCorporate(TestFolder folder)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=corporate", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        using X509Certificate2 root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(9));
        File.WriteAllText(folder.At(CertificateAuthority.CertificateFile), root.ExportCertificatePem());
        File.WriteAllText(folder.At(CertificateAuthority.KeyFile), key.ExportPkcs8PrivateKeyPem());
        return CertificateAuthority.Load(folder.Path, TimeProvider.System);
    }

    /// <summary>A client's certificate of the same authority that names no pool.</summary>
    private static X509Certificate2 Anonymous(TestFolder folder)
    {
        using X509Certificate2 root = X509Certificate2.CreateFromPemFile(
            folder.At(CertificateAuthority.CertificateFile), folder.At(CertificateAuthority.KeyFile));
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=kvfs://prod/node/n1", key, HashAlgorithmName.SHA256);
        using X509Certificate2 signed = request.Create(root, DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddDays(1), [9]);
        return signed.CopyWithPrivateKey(key);
    }

    private sealed class LongAgo : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddYears(-2);
    }
}
