using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests;

/// <summary>The alternative names in a certificate, and who it says that a peer is by them.</summary>
public sealed class SubjectNamesTests
{
    [Fact]
    public void Names_come_back_as_they_were_written_and_as_the_framework_reads_them() => Seeds.Run(500, random =>
    {
        SubjectNames names = new(
            [.. Enumerable.Range(0, random.Next(4)).Select(_ => random.NextDnsName())],
            [.. Enumerable.Range(0, random.Next(4)).Select(_ => random.NextAddress())],
            [.. Enumerable.Range(0, random.Next(3)).Select(_ => random.NextIdentity("p").Uri)]);
        X509Extension encoded = names.Encode();
        SubjectNames read = SubjectNames.Decode(encoded.RawData);
        Assert.Equal<string>(names.DnsNames, read.DnsNames);
        Assert.Equal<IPAddress>(names.Addresses, read.Addresses);
        Assert.Equal<string>(names.Uris, read.Uris);
        X509SubjectAlternativeNameExtension foreign = new(encoded.RawData);
        Assert.Equal(names.DnsNames, foreign.EnumerateDnsNames());
        Assert.Equal(names.Addresses, foreign.EnumerateIPAddresses());
    });

    [Fact]
    public void Names_of_other_kinds_are_passed_over()
    {
        SubjectAlternativeNameBuilder builder = new();
        builder.AddEmailAddress("a@example.org");
        builder.AddUserPrincipalName("b@example.org");
        builder.AddDnsName("c.example.org");
        builder.AddUri(new Uri("spiffe://example.org/d"));
        SubjectNames read = SubjectNames.Decode(builder.Build().RawData);
        Assert.Equal(["c.example.org"], read.DnsNames.AsEnumerable());
        Assert.Equal(["spiffe://example.org/d"], read.Uris.AsEnumerable());
    }

    [Fact]
    public void Changed_bytes_are_refused_as_malformed_or_read() => Seeds.Run(20_000, random =>
    {
        SubjectNames names = new([random.NextDnsName()], [random.NextAddress()], [random.NextIdentity("p").Uri]);
        try
        {
            Assert.False(SubjectNames.Decode(random.Mutate(names.Encode().RawData)).Uris.IsDefault);
        }
        catch (AsnContentException e)
        {
            Assert.NotEmpty(e.Message);
        }
    });

    [Theory]
    [InlineData("kvfs://prod/node/n1", null)]
    [InlineData("kvfs://other/node/n1", "is of pool 'other', and this is pool 'prod'")]
    [InlineData("kvfs://prod/node", "is not kvfs://POOL/ROLE/NAME")]
    [InlineData("KVFS://prod/node/n1", "is not kvfs://POOL/ROLE/NAME")]
    [InlineData("kvfs://prod", "is not kvfs://POOL/ROLE/NAME")]
    [InlineData("spiffe://prod/node/n1", "has no URI kvfs://POOL/ROLE/NAME")]
    [InlineData("spiffe://x/y kvfs://prod/node/n1", null)]
    [InlineData("kvfs://prod/node/n1 kvfs://prod/node/n2", "has 2 URIs")]
    [InlineData("kvfs://prod/node/n1 kvfs://other/admin/n1", "has 2 URIs")]
    [InlineData("kvfs://prod/node/n1 KVFS://prod/admin/n1", "has 2 URIs")]
    public void A_peer_is_who_the_only_URI_of_ours_says_if_it_is_of_this_pool(string uris, string? refusal)
    {
        using X509Certificate2 certificate = SelfSigned((SubjectNames.None with { Uris = [.. uris.Split(' ')] }).Encode());
        bool isRead = PeerIdentity.TryRead(certificate, "prod", out PeerIdentity? peer, out string? reason);
        Assert.Equal(refusal is null, isRead);
        Assert.Equal(refusal is null ? new PeerIdentity("prod", PeerRole.Node, "n1") : null, peer);
        if (refusal is not null) { Assert.Contains(refusal, reason, StringComparison.Ordinal); }
    }

    [Fact]
    public void A_certificate_without_names_is_nobody()
    {
        using X509Certificate2 certificate = SelfSigned(extension: null);
        Assert.False(PeerIdentity.TryRead(certificate, "prod", out _, out string? reason));
        Assert.Contains("has no URI", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Malformed_names_are_nobody_and_no_facts()
    {
        using X509Certificate2 certificate = SelfSigned(new X509Extension("2.5.29.17", [0x30, 0x05, 0x86, 0x10], critical: false));
        Assert.False(PeerIdentity.TryRead(certificate, "prod", out _, out string? reason));
        Assert.Contains("malformed", reason, StringComparison.Ordinal);
        Assert.Equal(PkiFailure.Malformed, Assert.Throws<PkiException>(() => CertificateFacts.Of(certificate)).Failure);
    }

    private static X509Certificate2 SelfSigned(X509Extension? extension)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=test", key, HashAlgorithmName.SHA256);
        if (extension is not null) { request.CertificateExtensions.Add(extension); }
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddHours(1));
    }
}
