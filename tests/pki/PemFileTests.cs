using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using KvFs.Pki.Files;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests;

/// <summary>PEM files as people and programs write them, and as they come out of accidents.</summary>
public sealed class PemFileTests : IDisposable
{
    private readonly TestFolder folder = new();
    private readonly CertificateAuthority authority = CertificateAuthority.Create("prod", TimeProvider.System);

    private string Pem => authority.Roots.ExportCertificatePems();

    [Theory]
    [InlineData("{0}", 1)]
    [InlineData("# ours\n{0}\n\n# theirs\r\n{0}\n", 2)]
    [InlineData("ä ---- BEGIN nothing\n{0}", 1)]
    [InlineData("{0}\n{0}\n{0}", 3)]
    public void Blocks_are_read_and_what_stands_between_them_is_not(string form, int count)
    {
        string text = form.Replace("{0}", Pem, StringComparison.Ordinal);
        Assert.Equal(count, PemFile.Parse("x", text).Certificates().Count);
    }

    [Fact]
    public void Line_ends_of_other_systems_are_read() =>
        Assert.Single(PemFile.Parse("x", Pem.Replace("\n", "\r\n", StringComparison.Ordinal)).Certificates());

    [Fact]
    public void A_broken_block_is_an_error_with_its_line_and_not_passed_over()
    {
        string broken = Pem.Replace("MI", "M*", StringComparison.Ordinal);
        foreach (string text in (string[])[$"{Pem}\n{broken}\n{Pem}", $"{Pem}\n{broken}", $"{broken}\n{Pem}", $"{Pem}\n{Pem[..200]}"])
        {
            int line = text.StartsWith(Pem, StringComparison.Ordinal) ? Pem.Count(letter => letter == '\n') + 2 : 1;
            Refused(text, $"The PEM block in line {line} of x is broken.");
        }
    }

    [Fact]
    public void What_holds_no_certificate_says_what_it_holds()
    {
        Refused("", "x has no PEM block");
        Refused("hello", "x has no PEM block");
        using ECDsa key = ECDsa.Create();
        Refused(key.ExportPkcs8PrivateKeyPem(), "x has no certificate; it has: PRIVATE KEY.");
        Refused(PemEncoding.WriteString("CERTIFICATE", [1, 2, 3]), "A certificate in x is malformed");
        Refused(PemEncoding.WriteString("CERTIFICATE", []), "A certificate in x is malformed");
    }

    [Fact]
    public void Keys_that_cannot_be_used_say_why()
    {
        using ECDsa key = ECDsa.Create();
        string pem = key.ExportPkcs8PrivateKeyPem();
        RefusedKey(Pem, "x has no private key.");
        RefusedKey($"{pem}\n{pem}", "x has more than one private key.");
        RefusedKey(PemEncoding.WriteString("PRIVATE KEY", [0x30, 0x00]), "The private key in x is malformed");
        RefusedKey(PemEncoding.WriteString("EC PRIVATE KEY", [1]), "The private key in x is malformed");
        RefusedKey(PemEncoding.WriteString("RSA PRIVATE KEY", [1]), "The private key in x is malformed");
        RefusedKey(PemEncoding.WriteString("DSA PRIVATE KEY", [1]), "use ECDSA or RSA");
        RefusedKey(PemEncoding.WriteString("ENCRYPTED PRIVATE KEY", [1]), "decrypt it first");
    }

    [Fact]
    public void A_file_that_is_missing_a_folder_or_too_large_is_refused_as_that()
    {
        Assert.Equal(PkiFailure.Missing, Assert.Throws<PkiException>(() => PemFile.Read(folder.At("none"))).Failure);
        Assert.Equal(PkiFailure.Missing, Assert.Throws<PkiException>(() => PemFile.Read(folder.At("no", "folder"))).Failure);
        Assert.Equal(PkiFailure.Invalid, Assert.Throws<PkiException>(() => PemFile.Read(folder.Path)).Failure);
        string padding = "\n" + new string('#', PemFile.MaxBytes - Pem.Length - 1);
        File.WriteAllText(folder.At("full"), Pem + padding);
        Assert.Single(PemFile.Read(folder.At("full")).Certificates());
        File.AppendAllText(folder.At("full"), "#");
        Assert.Equal(PkiFailure.Malformed, Assert.Throws<PkiException>(() => PemFile.Read(folder.At("full"))).Failure);
    }

    [Fact]
    public void Changed_text_is_refused_or_read_whole() => Seeds.Run(4_000, random =>
    {
        string text = Encoding.Latin1.GetString(random.Mutate(Encoding.Latin1.GetBytes($"{Pem}\n# second\n{Pem}")));
        try
        {
            X509Certificate2Collection read = PemFile.Parse("x", text).Certificates();
            int begins = text.Split("-----BEGIN").Length - 1;
            Assert.InRange(read.Count, 1, begins);
            Assert.Equal(begins, PemFile.Parse("x", text).Blocks.Count);
        }
        catch (PkiException e)
        {
            Assert.Equal(PkiFailure.Malformed, e.Failure);
        }
    });

    [Fact]
    public void Changed_bytes_of_certificates_and_keys_are_refused_or_read()
    {
        LeafRequest request = new() { Identity = new PeerIdentity("prod", PeerRole.Node, "n1"), DnsNames = ["n1.example.org"] };
        using IssuedCertificate issued = authority.Issue(request);
        using ECDsa key = issued.Certificate.GetECDsaPrivateKey()!;
        CertificateFolder.Write(folder.Path, issued, authority.Roots, replace: false);
        (string Name, string Label, byte[] Bytes)[] files =
        [
            ("tls.crt", "CERTIFICATE", issued.Certificate.RawData),
            ("ca.crt", "CERTIFICATE", authority.Roots[0].RawData),
            ("tls.key", "PRIVATE KEY", key.ExportPkcs8PrivateKey()),
            ("tls.key", "EC PRIVATE KEY", key.ExportECPrivateKey()),
        ];
        Seeds.Run(1_500, random =>
        {
            (string name, string label, byte[] bytes) = files[random.Next(files.Length)];
            string before = File.ReadAllText(folder.At(name));
            File.WriteAllText(folder.At(name), PemEncoding.WriteString(label, random.Mutate(bytes)));
            try
            {
                Assert.True(CertificateSet.Read(folder.Path).Certificate.HasPrivateKey);
            }
            catch (PkiException e)
            {
                Assert.Contains(e.Failure, (PkiFailure[])[PkiFailure.Malformed, PkiFailure.KeyMismatch, PkiFailure.NotAuthority]);
            }
            File.WriteAllText(folder.At(name), before);
        });
    }

    public void Dispose()
    {
        authority.Dispose();
        folder.Dispose();
    }

    private static void Refused(string text, string message)
    {
        PkiException refused = Assert.Throws<PkiException>(() => PemFile.Parse("x", text).Certificates());
        Assert.Equal(PkiFailure.Malformed, refused.Failure);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
    }

    private static void RefusedKey(string text, string message)
    {
        PkiException refused = Assert.Throws<PkiException>(() => PrivateKeyPem.Load(PemFile.Parse("x", text)));
        Assert.Equal(PkiFailure.Malformed, refused.Failure);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
    }
}
