using System.Net;
using System.Security.Cryptography.X509Certificates;
using KvFs.Peers;
using KvFs.Pki.Files;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests.Peers;

/// <summary>A peer with its folder of certificates, which change while it is used.</summary>
internal sealed class TestPeer : IDisposable
{
    private readonly TestFolder folder = new();
    private readonly ManualClock clock = new();
    private readonly PeerIdentity identity;
    private readonly PeerUsages usages;

    /// <param name="authority">Signs its certificate, and is what it trusts.</param>
    /// <param name="identity">Who it is.</param>
    /// <param name="usages">Which sides its certificate is for.</param>
    public TestPeer(CertificateAuthority authority, PeerIdentity identity, PeerUsages usages = PeerUsages.Client | PeerUsages.Server)
    {
        this.identity = identity;
        this.usages = usages;
        Write(authority, authority.Roots);
        Files = new CertificateFiles(folder.Path, clock, Log);
        Security = PeerSecurity.ByCertificates(Files, identity.Pool);
    }

    public LogLines Log { get; } = new();

    public CertificateFiles Files { get; }

    public PeerSecurity Security { get; }

    public static TestPeer Node(CertificateAuthority authority, string name) =>
        new(authority, new PeerIdentity("prod", PeerRole.Node, name));

    public static TestPeer Client(CertificateAuthority authority, string name) =>
        new(authority, new PeerIdentity("prod", PeerRole.Client, name), PeerUsages.Client);

    /// <summary>Replaces its files; who uses them next notices.</summary>
    public void Rotate(CertificateAuthority authority, X509Certificate2Collection trusted)
    {
        Write(authority, trusted);
        clock.Advance(CertificateFiles.LookInterval);
    }

    public void Dispose()
    {
        folder.Dispose();
        Assert.Empty(Log.Warnings);
    }

    private void Write(CertificateAuthority authority, X509Certificate2Collection trusted)
    {
        using IssuedCertificate issued = authority.Issue(new LeafRequest
        {
            Identity = identity,
            DnsNames = ["localhost"],
            Addresses = [IPAddress.Loopback],
            Usages = usages,
        });
        CertificateFolder.Write(folder.Path, issued, trusted, replace: true);
    }
}
