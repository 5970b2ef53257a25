using System.CommandLine;
using System.Security.Cryptography.X509Certificates;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Pki;
using KvFs.Pki;
using KvFs.Pki.Files;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pki renew</c></summary>
internal static class PkiRenewCommand
{
    private static readonly Option<string> Out = PkiOptions.Out("The folder with the tls.crt to renew.");

    private static readonly Option<int?> Days = PkiOptions.Days("How long the new one is valid. Default: as long as the old one was.");

    private static readonly Option<bool> Force = new("--force") { Description = "Renew it even if it is not due." };

    public static Command Build() => new Command(
        "renew", "Signs a certificate again, for a new key and the same names, when less than a third of its life is left.")
    {
        PkiOptions.Authority, Out, Days, Force,
    }
    .WithExamples(
        ("kvfs pki renew --dir authority --out n1", "for a daily timer: nothing happens until it is due"),
        ("kvfs pki renew --dir new-authority --out n1 --force", "under another authority, which must trust the old one, too"))
    .Runs(Run);

    private static void Run(CommandContext context)
    {
        string folder = Path.GetFullPath(context.Get(Out));
        string path = Path.Combine(folder, CertificateFolder.CertificateFile);
        using CertificateAuthority authority = PkiOptions.OpenAuthority(context);
        X509Certificate2 old = PkiErrors.Try(
            () => CertificateFolder.ReadCertificates(path)[0],
            failure => failure == PkiFailure.Missing
                ? $"Make one: kvfs pki issue --dir {context.Get(PkiOptions.Authority)} --role ROLE --name NAME --out {folder}"
                : null);
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        LeafRequest request = PkiErrors.Try(
            () => authority.RequestLike(old),
            _ => $"If you trust it, put the root that signed it into {context.Get(PkiOptions.Authority)}/ca.crt, beside the authority's own. "
                + "Else issue a new certificate: kvfs pki issue --force");

        // After a crash between two renames the key is not of the certificate: then it is due at once.
        bool isDue = CertificateFacts.Of(old).IsDue(now) || !CertificateFolder.IsUsable(folder) || context.Get(Force);
        RenewReport report = isDue
            ? new(true, folder, Renew(authority, request, context.Get(Days), folder))
            : new(false, folder, CertificateReport.Of(old, now));
        context.Show(report, ControlJson.Readable.RenewReport, output => Write(output, report));
    }

    private static CertificateReport Renew(CertificateAuthority authority, LeafRequest request, int? days, string folder) => PkiErrors.Try(
        () =>
        {
            using IssuedCertificate issued = authority.Issue(
                days is { } number ? request with { Validity = TimeSpan.FromDays(number) } : request);
            CertificateFolder.Write(folder, issued, authority.Roots, replace: true);
            return CertificateReport.Of(issued.Certificate, TimeProvider.System.GetUtcNow());
        },
        _ => null);

    private static void Write(TextWriter output, RenewReport report)
    {
        if (!report.Renewed)
        {
            output.WriteLine($"Not due: {CertificateView.Left(report.Certificate)}. --force renews it now.");
            return;
        }
        CertificateView.Write(output, report.Certificate);
        output.WriteLine();
        output.WriteLine($"Renewed in {report.Directory}. Programs that use it notice by themselves.");
    }
}
