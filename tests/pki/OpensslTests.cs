using System.Net;
using KvFs.Pki.Files;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests;

/// <summary>OpenSSL's own program takes what we make for what it is, and refuses what it is not.</summary>
public sealed class OpensslTests : IDisposable
{
    private readonly TestFolder folder = new();
    private readonly CertificateAuthority authority = CertificateAuthority.Create("prod", TimeProvider.System);

    private string Roots => folder.At("ca.crt");

    [Fact]
    public async Task It_verifies_a_certificate_strictly_for_each_side_name_and_address()
    {
        string leaf = Issue(PeerUsages.Server | PeerUsages.Client);
        await AssertVerifiesAsync(true, "-purpose", "sslserver", "-verify_hostname", "n1.example.org", leaf);
        await AssertVerifiesAsync(true, "-purpose", "sslserver", "-verify_hostname", "any.pods.example.org", leaf);
        await AssertVerifiesAsync(true, "-purpose", "sslserver", "-verify_ip", "127.0.0.1", leaf);
        await AssertVerifiesAsync(true, "-purpose", "sslserver", "-verify_ip", "fd00::7", leaf);
        await AssertVerifiesAsync(true, "-purpose", "sslclient", leaf);
        await AssertVerifiesAsync(false, "-purpose", "sslserver", "-verify_hostname", "n2.example.org", leaf);
        await AssertVerifiesAsync(false, "-purpose", "sslserver", "-verify_ip", "127.0.0.2", leaf);
    }

    [Fact]
    public async Task It_refuses_the_wrong_side_the_wrong_time_and_the_wrong_authority()
    {
        string client = Issue(PeerUsages.Client);
        await AssertVerifiesAsync(true, "-purpose", "sslclient", client);
        await AssertVerifiesAsync(false, "-purpose", "sslserver", client);
        string later = DateTimeOffset.UtcNow.AddDays(400).ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture);
        await AssertVerifiesAsync(false, "-attime", later, client);
        using CertificateAuthority other = CertificateAuthority.Create("prod", TimeProvider.System);
        await File.WriteAllTextAsync(Roots, other.Roots.ExportCertificatePems());
        await AssertVerifiesAsync(false, client);
    }

    [Fact]
    public async Task It_takes_the_authority_for_one_and_a_leaf_for_none()
    {
        string leaf = Issue(PeerUsages.Client);
        await AssertVerifiesAsync(true, Roots);
        (bool ok, string said) = await Openssl.RunAsync("x509", "-in", Roots, "-noout", "-text");
        Assert.True(ok, said);
        Assert.Contains("CA:TRUE, pathlen:0", said, StringComparison.Ordinal);
        Assert.Contains("Certificate Sign, CRL Sign", said, StringComparison.Ordinal);
        Assert.Contains("URI:kvfs://prod\n", said, StringComparison.Ordinal);
        (ok, said) = await Openssl.RunAsync("x509", "-in", leaf, "-noout", "-text");
        Assert.True(ok, said);
        Assert.Contains("CA:FALSE", said, StringComparison.Ordinal);
        Assert.Contains("URI:kvfs://prod/node/n1", said, StringComparison.Ordinal);
        Assert.Contains("X509v3 Authority Key Identifier", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_reads_our_key_and_finds_it_of_the_certificate()
    {
        string leaf = Issue(PeerUsages.Client);
        (bool ok, string ofKey) = await Openssl.RunAsync("pkey", "-in", folder.At("tls.key"), "-pubout");
        Assert.True(ok, ofKey);
        (ok, string ofCertificate) = await Openssl.RunAsync("x509", "-in", leaf, "-noout", "-pubkey");
        Assert.True(ok, ofCertificate);
        Assert.Equal(ofKey, ofCertificate);
    }

    [Theory]
    [InlineData("ecparam", "-name", "prime256v1", "-genkey")]
    [InlineData("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")]
    [InlineData("genrsa", "-traditional", "2048")]
    public async Task What_it_makes_in_its_own_forms_is_read(params string[] generate)
    {
        (bool ok, string said) = await Openssl.RunAsync([generate[0], "-out", folder.At("tls.key"), .. generate[1..]]);
        Assert.True(ok, said);
        (ok, said) = await Openssl.RunAsync(
            "req", "-x509", "-new", "-key", folder.At("tls.key"), "-subj", "/CN=n1", "-days", "2", "-out", folder.At("tls.crt"),
            "-addext", "subjectAltName=URI:kvfs://prod/node/n1,DNS:n1.example.org");
        Assert.True(ok, said);
        File.Copy(folder.At("tls.crt"), Roots);
        CertificateFiles files = new(folder.Path, TimeProvider.System, new LogLines());
        Assert.Equal(new PeerIdentity("prod", PeerRole.Node, "n1"), files.Current.Facts.Identity);
        Assert.True(files.Current.Certificate.HasPrivateKey);
    }

    [Fact]
    public async Task A_key_of_a_kind_that_is_not_supported_is_refused_as_that()
    {
        Issue(PeerUsages.Client);
        (bool ok, string said) = await Openssl.RunAsync("genpkey", "-algorithm", "ED25519", "-out", folder.At("tls.key"));
        Assert.True(ok, said);
        PkiException refused = Assert.Throws<PkiException>(() => new CertificateFiles(folder.Path, TimeProvider.System, new LogLines()));
        Assert.Contains("use ECDSA or RSA", refused.Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        authority.Dispose();
        folder.Dispose();
    }

    private string Issue(PeerUsages usages)
    {
        using IssuedCertificate issued = authority.Issue(new LeafRequest
        {
            Identity = new PeerIdentity("prod", PeerRole.Node, "n1"),
            DnsNames = ["n1.example.org", "*.pods.example.org"],
            Addresses = [IPAddress.Loopback, IPAddress.Parse("fd00::7")],
            Usages = usages,
        });
        CertificateFolder.Write(folder.Path, issued, authority.Roots, replace: true);
        return folder.At("tls.crt");
    }

    private async Task AssertVerifiesAsync(bool expected, params string[] arguments)
    {
        (bool ok, string said) = await Openssl.RunAsync(["verify", "-x509_strict", "-check_ss_sig", "-CAfile", Roots, .. arguments]);
        Assert.True(ok == expected, said);
    }
}
