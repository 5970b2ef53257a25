using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests;

/// <summary>What an authority signs, whatever it is asked for.</summary>
public sealed class IssuedCertificateTests
{
    private readonly ManualClock clock = new();

    [Fact]
    public void Every_certificate_says_what_was_asked_for_and_leads_to_its_authority_only()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        using CertificateAuthority sameName = CertificateAuthority.Create("prod", clock);
        HashSet<string> serials = [], keys = [];
        Seeds.Run(300, random =>
        {
            LeafRequest request = random.NextRequest("prod");
            using IssuedCertificate issued = authority.Issue(request);
            X509Certificate2 certificate = issued.Certificate;
            CertificateFacts facts = CertificateFacts.Of(certificate);
            DateTimeOffset now = clock.GetUtcNow();

            Assert.Equal(request.Identity, facts.Identity);
            Assert.Equal<string>(request.DnsNames, facts.DnsNames);
            Assert.Equal<IPAddress>(request.Addresses, facts.Addresses);
            Assert.Equal(request.Usages, facts.Usages);
            Assert.False(facts.IsAuthority);
            Assert.Equal(authority.Facts.Subject, facts.Issuer);

            Assert.InRange(now - facts.NotBefore, TimeSpan.Zero, TimeSpan.FromMinutes(5) + TimeSpan.FromSeconds(1));
            Assert.True(facts.NotAfter <= authority.Facts.NotAfter);
            DateTimeOffset wanted = request.Validity < authority.Facts.NotAfter - now ? now + request.Validity : authority.Facts.NotAfter;
            Assert.InRange(wanted - facts.NotAfter, TimeSpan.Zero, TimeSpan.FromSeconds(1));

            foreach (PeerUsages side in (PeerUsages[])[PeerUsages.Server, PeerUsages.Client])
            {
                Assert.Equal(request.Usages.HasFlag(side), authority.Roots.IsTrusted(certificate, side, now));
                Assert.False(sameName.Roots.IsTrusted(certificate, side, now));
                Assert.False(authority.Roots.IsTrusted(certificate, side, facts.NotAfter.AddSeconds(2)));
                Assert.False(authority.Roots.IsTrusted(certificate, side, facts.NotBefore.AddSeconds(-2)));
            }
            Assert.True(serials.Add(facts.Serial), "a serial came twice");
            Assert.True(keys.Add(Convert.ToHexString(certificate.PublicKey.ExportSubjectPublicKeyInfo())), "a key came twice");
            AssertExtensions(authority, certificate);
        });
    }

    [Fact]
    public void Serials_are_positive_and_use_all_of_128_bits()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        LeafRequest request = new() { Identity = new PeerIdentity("prod", PeerRole.Admin, "alice") };
        byte[] seen = new byte[16];
        for (int round = 0; round < 64; round++)
        {
            using IssuedCertificate issued = authority.Issue(request);
            byte[] serial = issued.Certificate.SerialNumberBytes.ToArray();
            Assert.True(serial.Length <= 17 && (serial[0] & 0x80) == 0, Convert.ToHexString(serial));
            byte[] padded = [.. new byte[17 - serial.Length], .. serial];
            for (int at = 0; at < 16; at++) { seen[at] |= padded[at + 1]; }
        }
        Assert.All(seen, bits => Assert.Equal(0xFF, bits));
    }

    [Fact]
    public void The_PEM_texts_are_the_certificate_and_its_key()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        using IssuedCertificate issued = authority.Issue(new LeafRequest { Identity = new PeerIdentity("prod", PeerRole.Csi, "c") });
        using X509Certificate2 read = X509Certificate2.CreateFromPem(issued.CertificatePem, issued.KeyPem);
        Assert.Equal(issued.Certificate.RawData, read.RawData);
        Assert.True(read.HasPrivateKey);
        Assert.StartsWith("-----BEGIN PRIVATE KEY-----", issued.KeyPem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("UPPER.example")]
    [InlineData("under_score")]
    [InlineData("-a")]
    [InlineData("a..b")]
    [InlineData("a.*.b")]
    [InlineData("*")]
    [InlineData("*.")]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    [InlineData("ä.example")]
    [InlineData("")]
    [InlineData("a b")]
    public void What_is_no_name_in_DNS_is_refused(string name) => Refused(new LeafRequest
    {
        Identity = new PeerIdentity("prod", PeerRole.Node, "n"),
        DnsNames = [name],
    });

    [Fact]
    public void Requests_that_make_no_sense_are_refused()
    {
        LeafRequest good = new() { Identity = new PeerIdentity("prod", PeerRole.Node, "n") };
        Refused(good with { Usages = PeerUsages.None });
        Refused(good with { Usages = (PeerUsages)8 });
        Refused(good with { Usages = PeerUsages.Server });
        Refused(good with { Validity = TimeSpan.Zero });
        Refused(good with { Validity = TimeSpan.FromDays(-1) });
        Refused(good with { DnsNames = [new string('a', 64) + ".example"] });
        Refused(good with { Addresses = [IPAddress.Parse("fe80::1%3")] });
    }

    [Fact]
    public void An_authority_signs_for_its_own_pool_only()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        PkiException refused = Assert.Throws<PkiException>(
            () => authority.Issue(new LeafRequest { Identity = new PeerIdentity("test", PeerRole.Node, "n") }));
        Assert.Equal(PkiFailure.Foreign, refused.Failure);
    }

    [Fact]
    public void A_certificate_is_due_in_the_last_third_of_its_life()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        using IssuedCertificate issued = authority.Issue(
            new LeafRequest { Identity = new PeerIdentity("prod", PeerRole.Node, "n"), Validity = TimeSpan.FromDays(90) });
        CertificateFacts facts = CertificateFacts.Of(issued.Certificate);
        DateTimeOffset start = clock.GetUtcNow();
        Assert.False(facts.IsDue(start));
        Assert.False(facts.IsDue(start.AddDays(59)));
        Assert.True(facts.IsDue(start.AddDays(61)));
        Assert.True(facts.IsDue(start.AddDays(91)));
    }

    [Fact]
    public void A_replacement_has_the_same_names_and_as_long_a_life_also_of_one_that_has_ended()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        Seeds.Run(50, random =>
        {
            LeafRequest request = random.NextRequest("prod") with { Validity = TimeSpan.FromDays(random.Next(1, 30)) };
            using IssuedCertificate old = authority.Issue(request);
            clock.Advance(TimeSpan.FromDays(random.Next(50)));
            LeafRequest again = authority.RequestLike(old.Certificate);
            Assert.Equal(request.Identity, again.Identity);
            Assert.Equal<string>(request.DnsNames, again.DnsNames);
            Assert.Equal<IPAddress>(request.Addresses, again.Addresses);
            Assert.Equal(request.Usages, again.Usages);
            Assert.InRange(again.Validity - request.Validity, TimeSpan.FromSeconds(-1), TimeSpan.FromSeconds(1));
            using IssuedCertificate next = authority.Issue(again);
            Assert.NotEqual(old.Certificate.PublicKey.EncodedKeyValue.RawData, next.Certificate.PublicKey.EncodedKeyValue.RawData);
        });
    }

    [Fact]
    public void A_certificate_that_another_authority_signed_is_not_replaced()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        using CertificateAuthority other = CertificateAuthority.Create("prod", clock);
        using IssuedCertificate foreign = other.Issue(new LeafRequest { Identity = new PeerIdentity("prod", PeerRole.Admin, "eve") });
        PkiException refused = Assert.Throws<PkiException>(() => authority.RequestLike(foreign.Certificate));
        Assert.Equal(PkiFailure.Foreign, refused.Failure);
        Assert.Equal(PkiFailure.Foreign, Assert.Throws<PkiException>(() => authority.RequestLike(authority.Roots[0])).Failure);
    }

    private static void AssertExtensions(CertificateAuthority authority, X509Certificate2 certificate)
    {
        X509KeyUsageExtension usage = certificate.Extensions.OfType<X509KeyUsageExtension>().Single();
        Assert.True(usage is { Critical: true, KeyUsages: X509KeyUsageFlags.DigitalSignature });
        Assert.True(certificate.Extensions.OfType<X509BasicConstraintsExtension>().Single() is { Critical: true });
        X509SubjectKeyIdentifierExtension own = certificate.Extensions.OfType<X509SubjectKeyIdentifierExtension>().Single();
        X509SubjectKeyIdentifierExtension signer = authority.Roots[0].Extensions.OfType<X509SubjectKeyIdentifierExtension>().Single();
        X509AuthorityKeyIdentifierExtension link = certificate.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().Single();
        Assert.Equal(signer.SubjectKeyIdentifierBytes.ToArray(), link.KeyIdentifier!.Value.ToArray());
        Assert.NotEqual(signer.SubjectKeyIdentifier, own.SubjectKeyIdentifier);
        Assert.Equal("1.2.840.10045.4.3.2", certificate.SignatureAlgorithm.Value);  // ecdsa-with-SHA256
        using ECDsa key = certificate.GetECDsaPrivateKey()!;
        Assert.Equal(256, key.KeySize);
    }

    private void Refused(LeafRequest request)
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", clock);
        Assert.Equal(PkiFailure.Invalid, Assert.Throws<PkiException>(() => authority.Issue(request)).Failure);
    }
}
