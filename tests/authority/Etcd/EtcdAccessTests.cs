using System.Security.Cryptography.X509Certificates;
using KvFs.Authority.Tests.Support;
using KvFs.Core;

namespace KvFs.Authority.Tests.Etcd;

/// <summary>etcd that asks who is there.</summary>
public sealed class EtcdAccessTests
{
    private static readonly TimeSpan Brief = TimeSpan.FromSeconds(2);

    [Fact]
    public async Task With_a_user_and_a_password_it_works_also_after_etcd_has_forgotten_its_tokens()
    {
        await using EtcdServer server = await EtcdServer.StartAsync();
        await AskForPasswordsAsync(server);
        await using EtcdAuthority authority = new(new()
        {
            Endpoints = [server.Endpoint],
            User = "pool",
            Password = "secret",
            RequestTime = TestTime.Patience,
        });
        PoolMap map = await TestPool.PutAsync(authority, TestPool.Found());
        await using Watch watch = new(authority, after: 1);
        Task<PoolMap> next = watch.NextAsync();
        await server.KillAsync();
        await server.StartAsync();
        map = await TestPool.PutAsync(authority, TestPool.Next(map));
        TestPool.Same(map, await next);
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("pool", "wrong")]
    [InlineData("nobody", "secret")]
    [InlineData("stranger", "secret")]
    public async Task Without_the_right_ones_nothing_is_done_and_the_reason_is_said(string? user, string? password)
    {
        await using EtcdServer server = await EtcdServer.StartAsync();
        await AskForPasswordsAsync(server);
        await using EtcdAuthority authority = new(new()
        {
            Endpoints = [server.Endpoint],
            User = user,
            Password = password,
            AttemptTime = TestTime.Patience,
            RequestTime = TestTime.Patience,
        });
        foreach (AuthorityAnswer answer in (AuthorityAnswer[])
            [await authority.ReadAsync(TestTime.Limit()), await authority.CompareAndSwapAsync(0, TestPool.Found(), TestTime.Limit())])
        {
            Assert.Equal(AuthorityOutcome.Unavailable, answer.Outcome);
            Assert.Contains("etcdserver", answer.Reason, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Over_TLS_both_sides_show_certificates_of_the_pools_authority()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-tls-");
        try
        {
            using TestCertificates authority = new();
            using TestCertificates foreign = new();
            using X509Certificate2 its = authority.Issue("etcd");
            using X509Certificate2 ours = authority.Issue("node");
            using X509Certificate2 strange = foreign.Issue("node");
            (string certificate, string key, string trusted) = authority.Write(its, folder.FullName);
            await using EtcdServer server = await EtcdServer.StartAsync(
                "https", null, "--cert-file", certificate, "--key-file", key, "--trusted-ca-file", trusted, "--client-cert-auth");
            PoolMap map = TestPool.Found();
            await using (EtcdAuthority good = Connect(server, authority, ours, TestTime.Patience)) { await TestPool.PutAsync(good, map); }
            await RefusedAsync(Connect(server, authority, null));
            await RefusedAsync(Connect(server, authority, strange));
            await RefusedAsync(Connect(server, foreign, ours));
            await RefusedAsync(new(new() { Endpoints = [server.Endpoint], Certificate = () => ours, RequestTime = Brief }));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Options_that_make_no_sense_are_refused()
    {
        Uri good = new("http://localhost:2379");
        Assert.Throws<ArgumentException>(static () => new EtcdAuthority(new() { Endpoints = [] }));
        Assert.Throws<ArgumentException>(static () => new EtcdAuthority(new() { Endpoints = [new("ftp://localhost")] }));
        Assert.Throws<ArgumentException>(static () => new EtcdAuthority(new() { Endpoints = [new("/x", UriKind.Relative)] }));
        Assert.Throws<ArgumentException>(() => new EtcdAuthority(new() { Endpoints = [good], User = "x" }));
        Assert.Throws<ArgumentException>(() => new EtcdAuthority(new() { Endpoints = [good], Prefix = "" }));
        Assert.Throws<ArgumentException>(() => new EtcdAuthority(new() { Endpoints = [good], Prefix = "/a/" }));
    }

    private static EtcdAuthority Connect(
        EtcdServer server, TestCertificates trusted, X509Certificate2? shown, TimeSpan? time = null) =>
        new(new()
        {
            Endpoints = [server.Endpoint],
            Authorities = [trusted.Authority],
            Certificate = shown is null ? null : () => shown,
            RequestTime = time ?? Brief,
        });

    private static async Task RefusedAsync(EtcdAuthority authority)
    {
        AuthorityAnswer answer = await authority.ReadAsync(TestTime.Limit());
        Assert.Equal((AuthorityOutcome.Unavailable, null), (answer.Outcome, answer.Map));
        Assert.NotEmpty(answer.Reason);
        await authority.DisposeAsync();
    }

    /// <summary>Users root, pool (may read and write the pool's keys) and stranger (may nothing); from then on etcd
    /// asks.</summary>
    private static async Task AskForPasswordsAsync(EtcdServer server)
    {
        foreach (string name in (string[])["root", "pool", "stranger"])
        {
            await server.AskAsync("/v3/auth/user/add", new Dictionary<string, string> { ["name"] = name, ["password"] = "secret" });
        }

        await server.AskAsync("/v3/auth/role/add", new Dictionary<string, string> { ["name"] = "pool" });
        await server.AskAsync("/v3/auth/role/grant", new Dictionary<string, object>
        {
            ["name"] = "pool",
            ["perm"] = new Dictionary<string, string>
            {
                ["permType"] = "READWRITE",
                ["key"] = EtcdServer.Base64("/kvfs/pool/"),
                ["range_end"] = EtcdServer.Base64("/kvfs/pool0"),
            },
        });
        await server.AskAsync("/v3/auth/role/add", new Dictionary<string, string> { ["name"] = "root" });
        await server.AskAsync("/v3/auth/user/grant", new Dictionary<string, string> { ["user"] = "root", ["role"] = "root" });
        await server.AskAsync("/v3/auth/user/grant", new Dictionary<string, string> { ["user"] = "pool", ["role"] = "pool" });
        await server.AskAsync("/v3/auth/enable", new Dictionary<string, string>());
    }
}
