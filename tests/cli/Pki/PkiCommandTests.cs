using System.Text.Json;
using KvFs.Cli.Pki;
using KvFs.Pki;
using KvFs.Pki.Files;

namespace KvFs.Cli.Tests.Pki;

/// <summary><c>kvfs pki</c>, run as a program.</summary>
public sealed class PkiCommandTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Authority => folder.At("ca");

    private string Node => folder.At("n1");

    [Fact]
    public async Task An_authority_is_made_once_and_says_so()
    {
        Outcome made = await InitAsync("--pool", "prod");
        Assert.True(made.Code == 0, made.ToString());
        Assert.Contains("the authority of pool prod", made.Output, StringComparison.Ordinal);
        Assert.Contains("Keep ", made.Output, StringComparison.Ordinal);
        byte[] key = await File.ReadAllBytesAsync(Path.Combine(Authority, "ca.key"));
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Authority, "ca.key")));

        Outcome again = await InitAsync("--pool", "prod");
        Assert.Equal(4, again.Code);
        Assert.Empty(again.Output);
        Assert.Contains($"There is a file {Authority}/ca.key already.", again.Errors, StringComparison.Ordinal);
        Assert.Contains("Nothing was changed.", again.Errors, StringComparison.Ordinal);
        Assert.Equal(key, await File.ReadAllBytesAsync(Path.Combine(Authority, "ca.key")));
    }

    [Fact]
    public async Task A_node_gets_a_certificate_that_OpenSSL_verifies_and_show_explains()
    {
        await InitAsync("--pool", "prod");
        JsonElement issued = await IssueAsync(
            "--role", "node", "--name", "n1", "--dns", "n1.example.org", "--dns", "n1", "--ip", "127.0.0.1", "--days", "30");
        Assert.Equal(Node, issued.GetProperty("directory").GetString());
        JsonElement certificate = issued.GetProperty("certificate");
        Assert.Equal("prod", certificate.GetProperty("pool").GetString());
        Assert.Equal("node", certificate.GetProperty("role").GetString());
        Assert.Equal("n1", certificate.GetProperty("name").GetString());
        Assert.Equal(["n1.example.org", "n1"], Strings(certificate, "dnsNames"));
        Assert.Equal(["127.0.0.1"], Strings(certificate, "addresses"));
        Assert.Equal(["kvfs://prod/node/n1"], Strings(certificate, "uris"));
        Assert.Equal(["server", "client"], Strings(certificate, "usages"));
        Assert.Equal(29, certificate.GetProperty("daysLeft").GetInt32());
        Assert.False(certificate.GetProperty("authority").GetBoolean());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Node, "tls.key")));

        Outcome verified = await Kvfs.RunOtherAsync(
            "openssl", "verify", "-x509_strict", "-CAfile", Path.Combine(Node, "ca.crt"), "-purpose", "sslserver",
            "-verify_hostname", "n1.example.org", Path.Combine(Node, "tls.crt"));
        Assert.True(verified.Code == 0, verified.ToString());

        JsonElement shown = await AskAsync("pki", "show", Path.Combine(Node, "tls.crt"));
        JsonElement only = Assert.Single(shown.GetProperty("certificates").EnumerateArray());
        Assert.Equal(certificate.GetProperty("fingerprint").GetString(), only.GetProperty("fingerprint").GetString());
        Outcome forPeople = await Kvfs.RunAsync("pki", "show", Path.Combine(Node, "tls.crt"));
        Assert.Contains("node n1 of pool prod", forPeople.Output, StringComparison.Ordinal);
        Assert.Contains("29 days left", forPeople.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("client", "", "client")]
    [InlineData("csi", "--dns csi.example.org", "server client")]
    [InlineData("operator", "--ip fd00::1 --usage server", "server")]
    [InlineData("node", "--usage client", "client")]
    [InlineData("admin", "", "client")]
    public async Task Sides_follow_from_role_and_names_unless_they_are_given(string role, string more, string usages)
    {
        await InitAsync("--pool", "prod");
        JsonElement issued = await IssueAsync(
            ["--role", role, "--name", "x", .. more.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);
        Assert.Equal(usages.Split(' '), Strings(issued.GetProperty("certificate"), "usages"));
    }

    [Fact]
    public async Task What_cannot_be_issued_says_why_and_what_to_do()
    {
        await RefusedAsync(3, "kvfs pki init --dir", "issue", "--role", "node", "--name", "n1", "--dns", "a");
        await InitAsync("--pool", "prod");
        await RefusedAsync(2, "--dns NAME or --ip ADDRESS", "issue", "--role", "node", "--name", "n1");
        await RefusedAsync(2, "'A_b' is no name in DNS", "issue", "--role", "node", "--name", "n1", "--dns", "A_b");
        await RefusedAsync(1, "signs nothing for 'test'", "issue", "--role", "client", "--name", "c", "--pool", "test");
        Assert.False(Directory.Exists(Node));
        await IssueAsync("--role", "client", "--name", "c");
        await RefusedAsync(4, "kvfs pki renew --dir", "issue", "--role", "client", "--name", "d");
        await IssueAsync("--role", "client", "--name", "d", "--force");
        File.Delete(Path.Combine(Authority, "ca.key"));
        await RefusedAsync(3, "ca.key", "issue", "--role", "client", "--name", "d", "--force");
        await File.WriteAllTextAsync(Path.Combine(Authority, "ca.key"), await File.ReadAllTextAsync(Path.Combine(Node, "tls.key")));
        await RefusedAsync(1, "is of no certificate", "issue", "--role", "client", "--name", "d", "--force");
    }

    [Fact]
    public async Task A_certificate_is_renewed_when_it_is_due_or_by_force_with_the_same_names_and_another_key()
    {
        await InitAsync("--pool", "prod");
        await RefusedAsync(3, "kvfs pki issue", "renew");
        await IssueAsync("--role", "node", "--name", "n1", "--dns", "n1.example.org", "--ip", "10.0.0.1", "--days", "90");
        byte[] first = await File.ReadAllBytesAsync(Path.Combine(Node, "tls.key"));

        Outcome notDue = await Kvfs.RunAsync("pki", "renew", "--dir", Authority, "--out", Node);
        Assert.True(notDue.Code == 0, notDue.ToString());
        Assert.Contains("Not due: 89 days left.", notDue.Output, StringComparison.Ordinal);
        Assert.Equal(first, await File.ReadAllBytesAsync(Path.Combine(Node, "tls.key")));

        JsonElement forced = await AskAsync("pki", "renew", "--dir", Authority, "--out", Node, "--force");
        Assert.True(forced.GetProperty("renewed").GetBoolean());
        JsonElement certificate = forced.GetProperty("certificate");
        Assert.Equal(["kvfs://prod/node/n1"], Strings(certificate, "uris"));
        Assert.Equal(["n1.example.org"], Strings(certificate, "dnsNames"));
        Assert.Equal(["10.0.0.1"], Strings(certificate, "addresses"));
        Assert.Equal(89, certificate.GetProperty("daysLeft").GetInt32());
        Assert.NotEqual(first, await File.ReadAllBytesAsync(Path.Combine(Node, "tls.key")));
    }

    [Theory]
    [InlineData(250, true)]
    [InlineData(230, false)]
    public async Task Due_is_what_has_less_than_a_third_of_its_life_left(int daysAgo, bool renewed)
    {
        using (CertificateAuthority authority = CertificateAuthority.Create("prod", new DaysAgo(daysAgo + 1))) { authority.Save(Authority); }
        using (CertificateAuthority authority = CertificateAuthority.Load(Authority, new DaysAgo(daysAgo)))
        {
            using IssuedCertificate issued = authority.Issue(new LeafRequest { Identity = new PeerIdentity("prod", PeerRole.Csi, "c") });
            CertificateFolder.Write(Node, issued, authority.Roots, replace: false);
        }
        JsonElement report = await AskAsync("pki", "renew", "--dir", Authority, "--out", Node);
        Assert.Equal(renewed, report.GetProperty("renewed").GetBoolean());
        Assert.Equal(renewed ? 364 : 365 - daysAgo - 1, report.GetProperty("certificate").GetProperty("daysLeft").GetInt32());
    }

    [Fact]
    public async Task What_a_crash_left_half_replaced_is_renewed_at_once()
    {
        await InitAsync("--pool", "prod");
        await IssueAsync("--role", "client", "--name", "c");
        File.Copy(Path.Combine(Authority, "ca.key"), Path.Combine(Node, "tls.key"), overwrite: true);
        Assert.True((await AskAsync("pki", "renew", "--dir", Authority, "--out", Node)).GetProperty("renewed").GetBoolean());
        Assert.True(CertificateFolder.IsUsable(Node));
    }

    [Fact]
    public async Task A_certificate_of_a_stranger_is_not_renewed_into_one_of_the_pool()
    {
        await InitAsync("--pool", "prod");
        using CertificateAuthority stranger = CertificateAuthority.Create("prod", TimeProvider.System);
        using IssuedCertificate posing = stranger.Issue(new LeafRequest { Identity = new PeerIdentity("prod", PeerRole.Admin, "eve") });
        CertificateFolder.Write(Node, posing, stranger.Roots, replace: false);
        await RefusedAsync(1, "was not signed by this authority", "renew", "--force");
        Assert.Equal(posing.CertificatePem, await File.ReadAllTextAsync(Path.Combine(Node, "tls.crt")));
    }

    [Fact]
    public async Task An_authority_takes_over_as_the_page_on_certificates_says()
    {
        string next = folder.At("new");
        await InitAsync("--pool", "prod");
        await IssueAsync("--role", "client", "--name", "c");
        Assert.Equal(0, (await Kvfs.RunAsync("pki", "init", "--dir", next, "--pool", "prod")).Code);
        string newRoot = await File.ReadAllTextAsync(Path.Combine(next, "ca.crt"));
        string both = newRoot + await File.ReadAllTextAsync(Path.Combine(Authority, "ca.crt"));
        await File.WriteAllTextAsync(Path.Combine(next, "ca.crt"), both);
        await File.WriteAllTextAsync(Path.Combine(Authority, "ca.crt"), both);
        foreach ((string signs, int roots) in ((string, int)[])[(Authority, 2), (next, 2)])
        {
            await AskAsync("pki", "renew", "--dir", signs, "--out", Node, "--force");
            JsonElement trusted = await AskAsync("pki", "show", Path.Combine(Node, "ca.crt"));
            Assert.Equal(roots, trusted.GetProperty("certificates").GetArrayLength());
        }
        await File.WriteAllTextAsync(Path.Combine(next, "ca.crt"), newRoot);
        await AskAsync("pki", "renew", "--dir", next, "--out", Node, "--force");
        Assert.Equal(newRoot, await File.ReadAllTextAsync(Path.Combine(Node, "ca.crt")));
        Assert.True(CertificateFolder.IsUsable(Node));
    }

    [Fact]
    public async Task Show_refuses_what_holds_no_certificate_and_obeys_no_terminal_codes()
    {
        await InitAsync("--pool", "prod");
        Outcome refused = await Kvfs.RunAsync("pki", "show", Path.Combine(Authority, "ca.key"), "-o", "json");
        Assert.Equal(1, refused.Code);
        JsonElement error = JsonDocument.Parse(refused.Errors).RootElement.GetProperty("error");
        Assert.Contains("has no certificate; it has: PRIVATE KEY", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(2, (await Kvfs.RunAsync("pki", "show", Authority)).Code);
        Assert.Equal(3, (await Kvfs.RunAsync("pki", "show", folder.At("none"))).Code);

        string file = folder.At("odd.crt");
        Outcome made = await Kvfs.RunOtherAsync(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder.At("odd.key"),
            "-subj", "/CN=\u001b[31mred", "-addext", "subjectAltName=DNS:\u001b[2J", "-out", file);
        Assert.True(made.Code == 0, made.ToString());
        Outcome shown = await Kvfs.RunAsync("pki", "show", file);
        Assert.True(shown.Code == 0, shown.ToString());
        Assert.DoesNotContain('\u001b', shown.Output);
        Assert.Contains("?[31mred", shown.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(364, "364 days left")]
    [InlineData(1, "1 day left")]
    [InlineData(0, "less than a day left")]
    [InlineData(-1, "ended less than a day ago")]
    [InlineData(-2, "ended 1 day ago")]
    [InlineData(-31, "ended 30 days ago")]
    public void What_is_left_is_said_in_words(int daysLeft, string expected)
    {
        using CertificateAuthority authority = CertificateAuthority.Create("prod", TimeProvider.System);
        CertificateReport report = CertificateReport.Of(authority.Facts, DateTimeOffset.UtcNow) with { DaysLeft = daysLeft };
        Assert.Equal(expected, CertificateView.Left(report));
    }

    public void Dispose() => folder.Dispose();

    private static string[] Strings(JsonElement of, string name) =>
        [.. of.GetProperty(name).EnumerateArray().Select(each => each.GetString()!)];

    private static async Task<JsonElement> AskAsync(params string[] arguments)
    {
        Outcome outcome = await Kvfs.RunAsync([.. arguments, "--output", "json"]);
        Assert.True(outcome.Code == 0, outcome.ToString());
        return outcome.Json;
    }

    private Task<Outcome> InitAsync(params string[] more) => Kvfs.RunAsync(["pki", "init", "--dir", Authority, .. more]);

    private Task<JsonElement> IssueAsync(params string[] more) => AskAsync(["pki", "issue", "--dir", Authority, "--out", Node, .. more]);

    /// <summary>Runs issue or renew, which must fail so.</summary>
    private async Task RefusedAsync(int code, string message, string command, params string[] more)
    {
        Outcome refused = await Kvfs.RunAsync(["pki", command, "--dir", Authority, "--out", Node, .. more]);
        Assert.True(refused.Code == code, refused.ToString());
        Assert.StartsWith("kvfs: ", refused.Errors, StringComparison.Ordinal);
        Assert.Contains(message, refused.Errors, StringComparison.Ordinal);
    }

    private sealed class DaysAgo(int days) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddDays(-days);
    }
}
