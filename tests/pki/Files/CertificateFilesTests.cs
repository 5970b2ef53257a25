using System.Diagnostics;
using KvFs.Pki.Files;
using KvFs.Pki.Tests.Support;

namespace KvFs.Pki.Tests.Files;

/// <summary>Files that are replaced under a program that uses them.</summary>
public sealed class CertificateFilesTests : IDisposable
{
    private readonly TestFolder folder = new();
    private readonly ManualClock clock = new();
    private readonly LogLines log = new();
    private readonly CertificateAuthority authority;

    public CertificateFilesTests() => authority = CertificateAuthority.Create("prod", clock);

    [Fact]
    public void They_are_read_at_the_start()
    {
        using IssuedCertificate first = Issue("n1");
        CertificateFolder.Write(folder.Path, first, authority.Roots, replace: false);
        CertificateFiles files = Open();
        Assert.Equal(first.Certificate.RawData, files.Current.Certificate.RawData);
        Assert.Equal(first.Certificate.RawData, files.Current.Context.TargetCertificate.RawData);
        Assert.True(files.Current.Certificate.HasPrivateKey);
        Assert.Equal(authority.Roots[0].RawData, Assert.Single(files.Current.Roots).RawData);
        Assert.Equal("n1", files.Current.Facts.Identity!.Name);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(folder.At("tls.key")));
        Assert.Equal(
            ["ca.crt", "tls.crt", "tls.key"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Replaced_ones_count_within_a_second_of_use_and_not_before_it_is_over()
    {
        Write("n1");
        CertificateFiles files = Open();
        CertificateSet before = files.Current;
        Write("n2");
        clock.Advance(TimeSpan.FromSeconds(1) - TimeSpan.FromTicks(1));
        Assert.Same(before, files.Current);
        clock.Advance(TimeSpan.FromTicks(1));
        Assert.Equal("n2", NameIn(files));
        Assert.Same(files.Current, files.Current);
        Assert.Contains("CN=n2", Assert.Single(log.Infos), StringComparison.Ordinal);
        Assert.Empty(log.Warnings);
    }

    [Fact]
    public void Untouched_ones_are_not_read_again()
    {
        Write("n1");
        CertificateFiles files = Open();
        CertificateSet before = files.Current;
        for (int second = 0; second < 5; second++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.Same(before, files.Current);
        }
        Assert.Empty(log.Infos);
    }

    [Fact]
    public void Kubernetes_swaps_a_link_and_the_next_look_finds_all_three_new()
    {
        using IssuedCertificate first = Issue("n1"), second = Issue("n2");
        using CertificateAuthority next = CertificateAuthority.Create("prod", clock);
        CertificateFolder.Write(folder.At("..2026_1"), first, authority.Roots, replace: false);
        File.CreateSymbolicLink(folder.At("..data"), "..2026_1");
        foreach (string name in (string[])["tls.crt", "tls.key", "ca.crt"]) { File.CreateSymbolicLink(folder.At(name), $"..data/{name}"); }
        CertificateFiles files = Open();
        Assert.Equal("n1", NameIn(files));

        CertificateFolder.Write(folder.At("..2026_2"), second, next.Roots, replace: false);
        File.CreateSymbolicLink(folder.At("..data_tmp"), "..2026_2");
        Run("mv", "-T", folder.At("..data_tmp"), folder.At("..data"));
        Directory.Delete(folder.At("..2026_1"), recursive: true);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("n2", NameIn(files));
        Assert.Equal(next.Roots[0].RawData, Assert.Single(files.Current.Roots).RawData);
        Assert.Empty(log.Warnings);
    }

    [Theory]
    [InlineData("tls.crt")]
    [InlineData("tls.key")]
    public void Half_of_a_pair_keeps_the_last_good_one_and_is_told_once(string half)
    {
        Write("n1");
        CertificateFiles files = Open();
        using TestFolder elsewhere = new();
        using IssuedCertificate next = Issue("n2");
        CertificateFolder.Write(elsewhere.Path, next, authority.Roots, replace: false);
        File.Move(elsewhere.At(half), folder.At(half), overwrite: true);
        for (int second = 0; second < 5; second++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal("n1", NameIn(files));
        }
        string warning = Assert.Single(log.Warnings);
        Assert.Contains("only one was replaced", warning, StringComparison.Ordinal);
        Assert.Contains("CN=n1", warning, StringComparison.Ordinal);

        string other = half == "tls.crt" ? "tls.key" : "tls.crt";
        File.Move(elsewhere.At(other), folder.At(other), overwrite: true);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("n2", NameIn(files));
        Assert.Single(log.Warnings);
    }

    [Fact]
    public void A_file_that_goes_and_comes_back_as_it_was_is_told_once_and_forgotten()
    {
        Write("n1");
        CertificateFiles files = Open();
        CertificateSet before = files.Current;
        for (int round = 1; round <= 2; round++)
        {
            File.Move(folder.At("ca.crt"), folder.At("away"));
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.Same(before, files.Current);
            Assert.Equal(round, log.Warnings.Count);
            Assert.Contains("There is no file", log.Warnings[^1], StringComparison.Ordinal);
            File.Move(folder.At("away"), folder.At("ca.crt"));
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.Same(before, files.Current);
        }
    }

    [Fact]
    public void Roots_that_cannot_be_used_keep_the_last_good_ones()
    {
        Write("n1");
        CertificateFiles files = Open();
        foreach (string bad in (string[])["", "-----BEGIN CERTIFICATE-----\n", File.ReadAllText(folder.At("tls.crt"))])
        {
            File.WriteAllText(folder.At("ca.crt"), bad);
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal(authority.Roots[0].RawData, Assert.Single(files.Current.Roots).RawData);
        }
        Assert.Equal(3, log.Warnings.Count);
        Assert.Contains("may not sign others", log.Warnings[2], StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_written_over_in_place_counts_too()
    {
        Write("n1");
        CertificateFiles files = Open();
        using CertificateAuthority next = CertificateAuthority.Create("prod", clock);
        File.AppendAllText(folder.At("ca.crt"), next.Roots.ExportCertificatePems());
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(2, files.Current.Roots.Count);
    }

    [Theory]
    [InlineData("tls.crt")]
    [InlineData("tls.key")]
    [InlineData("ca.crt")]
    public void Without_a_good_one_at_the_start_there_is_an_error_that_names_it(string name)
    {
        Write("n1");
        File.Delete(folder.At(name));
        PkiException missing = Assert.Throws<PkiException>(Open);
        Assert.Equal((PkiFailure.Missing, $"There is no file {folder.At(name)}."), (missing.Failure, missing.Message));
        File.WriteAllText(folder.At(name), "nothing");
        Assert.Equal(PkiFailure.Malformed, Assert.Throws<PkiException>(Open).Failure);
        File.Delete(folder.At(name));
        Run("mkfifo", folder.At(name));
        Assert.Contains("is not a regular file", Assert.Throws<PkiException>(Open).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_of_another_certificate_at_the_start_is_an_error()
    {
        Write("n1");
        using IssuedCertificate other = Issue("n2");
        File.WriteAllText(folder.At("tls.key"), other.KeyPem);
        Assert.Equal(PkiFailure.KeyMismatch, Assert.Throws<PkiException>(Open).Failure);
    }

    [Fact]
    public void A_certificate_and_key_that_are_there_are_replaced_only_by_who_says_so()
    {
        Write("n1");
        byte[] before = File.ReadAllBytes(folder.At("tls.crt"));
        using IssuedCertificate next = Issue("n2");
        PkiException refused = Assert.Throws<PkiException>(
            () => CertificateFolder.Write(folder.Path, next, authority.Roots, replace: false));
        Assert.Equal(PkiFailure.Exists, refused.Failure);
        Assert.Equal(before, File.ReadAllBytes(folder.At("tls.crt")));
        Assert.Equal(3, Directory.EnumerateFileSystemEntries(folder.Path).Count());
    }

    [Fact]
    public async Task All_who_ask_while_others_write_get_what_fits_together()
    {
        const int writes = 60;
        Write("n0");
        CertificateFiles files = new(folder.Path, new EverLaterClock(), log);
        using CancellationTokenSource written = new();
        Task[] readers = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            while (!written.IsCancellationRequested)
            {
                CertificateSet set = files.Current;
                Assert.True(set.Certificate.HasPrivateKey);
                Assert.Equal(set.Certificate.RawData, set.Context.TargetCertificate.RawData);
                Assert.StartsWith("n", set.Facts.Identity!.Name, StringComparison.Ordinal);
            }
        }))];
        for (int write = 1; write <= writes; write++) { Write($"n{write}"); }
        await written.CancelAsync();
        await Task.WhenAll(readers);
        Assert.Equal($"n{writes}", NameIn(files));
        Assert.All(log.Warnings, warning => Assert.True(
            warning.Contains("only one was replaced", StringComparison.Ordinal)
                || warning.Contains("change faster", StringComparison.Ordinal), warning));
    }

    public void Dispose()
    {
        authority.Dispose();
        folder.Dispose();
    }

    private static string NameIn(CertificateFiles files) => files.Current.Facts.Identity!.Name;

    private static void Run(string program, params string[] arguments)
    {
        using Process running = Process.Start(program, arguments);
        running.WaitForExit();
        Assert.Equal(0, running.ExitCode);
    }

    private CertificateFiles Open() => new(folder.Path, clock, log);

    private IssuedCertificate Issue(string name) =>
        authority.Issue(new LeafRequest { Identity = new PeerIdentity("prod", PeerRole.Client, name) });

    private void Write(string name)
    {
        using IssuedCertificate issued = Issue(name);
        CertificateFolder.Write(folder.Path, issued, authority.Roots, replace: true);
    }

    /// <summary>A second passes whenever somebody looks at it.</summary>
    private sealed class EverLaterClock : TimeProvider
    {
        private long now;

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => Interlocked.Increment(ref now);
    }
}
