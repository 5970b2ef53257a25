using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvFs.Pki.Files;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests;

/// <summary>An authority as it is made, stored, and loaded again.</summary>
public sealed class CertificateAuthorityTests : IDisposable
{
    private readonly TestFolder folder = new();
    private readonly ManualClock clock = new();

    private string CertificatePath => folder.At(CertificateAuthority.CertificateFile);

    private string KeyPath => folder.At(CertificateAuthority.KeyFile);

    [Fact]
    public void A_new_one_is_a_root_for_ten_years_that_signs_leaves_only()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        X509Certificate2 certificate = Assert.Single(authority.Roots);
        Assert.False(certificate.HasPrivateKey);
        Assert.Equal("CN=KvFs CA prod", authority.Facts.Subject);
        Assert.Equal(authority.Facts.Subject, authority.Facts.Issuer);
        Assert.True(authority.Facts.IsAuthority);
        Assert.Equal("prod", authority.Pool);
        Assert.Null(authority.Facts.Identity);
        Assert.InRange(clock.GetUtcNow().AddYears(10) - authority.Facts.NotAfter, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        X509BasicConstraintsExtension constraints = certificate.Extensions.OfType<X509BasicConstraintsExtension>().Single();
        Assert.True(constraints is { Critical: true, CertificateAuthority: true, HasPathLengthConstraint: true, PathLengthConstraint: 0 });
        X509KeyUsageExtension usage = certificate.Extensions.OfType<X509KeyUsageExtension>().Single();
        Assert.Equal(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, usage.KeyUsages);
        Assert.True(usage.Critical);
        using ECDsa key = certificate.GetECDsaPublicKey()!;
        Assert.Equal(256, key.KeySize);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Prod")]
    [InlineData("a/b")]
    public void A_pool_that_cannot_be_called_so_is_refused(string pool) =>
        Assert.Equal(PkiFailure.Invalid, Assert.Throws<PkiException>(() => CertificateAuthority.Create(pool, clock)).Failure);

    [Fact]
    public void It_is_loaded_as_it_was_saved_and_signs_what_the_saved_one_would()
    {
        using CertificateAuthority made = CertificateAuthority.Create("prod", clock);
        made.Save(folder.At("new", "deep"));
        using CertificateAuthority loaded = CertificateAuthority.Load(folder.At("new", "deep"), clock);
        Assert.Equal(made.Facts.Fingerprint, loaded.Facts.Fingerprint);
        Assert.Equal("prod", loaded.Pool);
        using IssuedCertificate issued = loaded.Issue(Request("n1"));
        Assert.True(made.Roots.IsTrusted(issued.Certificate, PeerUsages.Client, clock.GetUtcNow()));
    }

    [Fact]
    public void Its_key_is_for_its_owner_only_and_nothing_else_is_left_in_the_folder()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        authority.Save(folder.At("new"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(folder.At("new", "ca.key")));
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder.At("new")));
        Assert.Equal(["ca.crt", "ca.key"], Directory.EnumerateFileSystemEntries(folder.At("new")).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("ca.crt")]
    [InlineData("ca.key")]
    public void It_is_not_saved_over_anything(string there)
    {
        File.WriteAllText(folder.At(there), "precious");
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        PkiException refused = Assert.Throws<PkiException>(() => authority.Save(folder.Path));
        Assert.Equal(PkiFailure.Exists, refused.Failure);
        Assert.Contains(folder.At(there), refused.Message, StringComparison.Ordinal);
        Assert.Equal("precious", File.ReadAllText(folder.At(there)));
        Assert.Equal([there], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void Of_several_roots_the_one_that_the_key_is_of_signs()
    {
        using CertificateAuthority old = CertificateAuthority.Create("prod", clock);
        using CertificateAuthority next = CertificateAuthority.Create("prod", clock);
        next.Save(folder.Path);
        File.WriteAllText(CertificatePath, $"# the old one first\n{old.Roots.ExportCertificatePems()}\n\n{File.ReadAllText(CertificatePath)}");
        using CertificateAuthority loaded = CertificateAuthority.Load(folder.Path, clock);
        Assert.Equal(next.Facts.Fingerprint, loaded.Facts.Fingerprint);
        Assert.Equal(2, loaded.Roots.Count);
        using IssuedCertificate issued = loaded.Issue(Request("n1"));
        Assert.True(next.Roots.IsTrusted(issued.Certificate, PeerUsages.Client, clock.GetUtcNow()));
        Assert.True(loaded.Roots.IsTrusted(issued.Certificate, PeerUsages.Client, clock.GetUtcNow()));
        Assert.False(old.Roots.IsTrusted(issued.Certificate, PeerUsages.Client, clock.GetUtcNow()));
    }

    [Fact]
    public void A_file_that_is_missing_is_named()
    {
        Assert.Equal($"There is no file {CertificatePath}.", Refused(PkiFailure.Missing).Message);
        Save();
        File.Delete(KeyPath);
        Assert.Equal($"There is no file {KeyPath}.", Refused(PkiFailure.Missing).Message);
    }

    [Fact]
    public void A_certificate_that_may_not_sign_is_refused()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        using IssuedCertificate leaf = authority.Issue(Request("n1"));
        File.WriteAllText(CertificatePath, leaf.CertificatePem);
        File.WriteAllText(KeyPath, leaf.KeyPem);
        Assert.Contains("may not sign others", Refused(PkiFailure.NotAuthority).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_authority_below_another_is_refused()
    {
        using ECDsa rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=root", rootKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 root = request.CreateSelfSigned(clock.GetUtcNow().AddDays(-1), clock.GetUtcNow().AddDays(9));
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        request = new CertificateRequest("CN=below", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 below = request.Create(root, clock.GetUtcNow(), clock.GetUtcNow().AddDays(1), [7]);
        File.WriteAllText(CertificatePath, below.ExportCertificatePem());
        File.WriteAllText(KeyPath, key.ExportECPrivateKeyPem());
        Assert.Contains("no root: 'CN=root' signed it", Refused(PkiFailure.NotAuthority).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_of_another_certificate_is_refused()
    {
        Save();
        using ECDsa other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        File.WriteAllText(KeyPath, other.ExportPkcs8PrivateKeyPem());
        Assert.Contains("is of no certificate", Refused(PkiFailure.KeyMismatch).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(4000)]
    public void One_that_is_not_valid_now_is_refused_with_its_times(int days)
    {
        Save();
        clock.Advance(TimeSpan.FromDays(days));
        Assert.Contains($"and now it is {clock.GetUtcNow():yyyy-MM-dd}", Refused(PkiFailure.NotValidNow).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void One_that_ends_while_it_is_loaded_signs_nothing_more()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        clock.Advance(TimeSpan.FromDays(4000));
        Assert.Equal(PkiFailure.NotValidNow, Assert.Throws<PkiException>(() => authority.Issue(Request("n1"))).Failure);
    }

    [Fact]
    public void A_key_behind_a_passphrase_is_refused_with_the_way_out()
    {
        Save();
        using ECDsa key = ECDsa.Create();
        key.ImportFromPem(File.ReadAllText(KeyPath));
        File.WriteAllText(KeyPath, key.ExportEncryptedPkcs8PrivateKeyPem(
            "secret", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000)));
        Assert.Contains("decrypt it first", Refused(PkiFailure.Malformed).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_RSA_authority_is_refused()
    {
        using RSA key = RSA.Create(2048);
        CertificateRequest request = new("CN=root", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 root = request.CreateSelfSigned(clock.GetUtcNow().AddDays(-1), clock.GetUtcNow().AddDays(9));
        File.WriteAllText(CertificatePath, root.ExportCertificatePem());
        File.WriteAllText(KeyPath, key.ExportPkcs8PrivateKeyPem());
        Assert.Contains("must be an ECDSA key", Refused(PkiFailure.NotAuthority).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_authority_from_elsewhere_signs_for_any_pool_and_is_trusted()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        CertificateRequest request = new("CN=corporate, O=Example", key, HashAlgorithmName.SHA384);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 root = request.CreateSelfSigned(clock.GetUtcNow().AddDays(-1), clock.GetUtcNow().AddDays(9));
        File.WriteAllText(CertificatePath, root.ExportCertificatePem());
        File.WriteAllText(KeyPath, key.ExportECPrivateKeyPem());
        using CertificateAuthority authority = CertificateAuthority.Load(folder.Path, clock);
        Assert.Null(authority.Pool);
        using IssuedCertificate issued = authority.Issue(Request("n1") with { Identity = new PeerIdentity("any", PeerRole.Csi, "n1") });
        Assert.True(authority.Roots.IsTrusted(issued.Certificate, PeerUsages.Client, clock.GetUtcNow()));
        Assert.True(CertificateFacts.Of(issued.Certificate).NotAfter <= root.NotAfter.ToUniversalTime());
    }

    public void Dispose() => folder.Dispose();

    private static LeafRequest Request(string name) => new() { Identity = new PeerIdentity("prod", PeerRole.Client, name) };

    private void Save()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        authority.Save(folder.Path);
    }

    private PkiException Refused(PkiFailure failure)
    {
        PkiException refused = Assert.Throws<PkiException>(() => CertificateAuthority.Load(folder.Path, clock));
        Assert.True(failure == refused.Failure, refused.Message);
        return refused;
    }
}
