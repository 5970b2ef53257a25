using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Pki;
using KvFs.Pki;
using KvFs.Pki.Files;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pki show</c></summary>
internal static class PkiShowCommand
{
    private static readonly Argument<string> Shown = new("file")
    {
        Description = "A PEM file with one or more certificates.",
        HelpName = "FILE",
    };

    public static Command Build() => new Command("show", "Shows who a certificate is for, and for how long.") { Shown }
        .WithExamples(
            ("kvfs pki show n1/tls.crt", "of a node"),
            ("kvfs pki show n1/ca.crt -o json", "all that it trusts, for programs"))
        .Runs(Run);

    private static void Run(CommandContext context)
    {
        string path = Path.GetFullPath(context.Get(Shown));
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        CertificateList list = PkiErrors.Try(
            () => new CertificateList(
                [.. CertificateFolder.ReadCertificates(path).Select(certificate => CertificateReport.Of(certificate, now))]),
            failure => failure == PkiFailure.Invalid ? $"Name a file in it, such as {path}/{CertificateFolder.CertificateFile}." : null);
        context.Show(list, ControlJson.Readable.CertificateList, output =>
        {
            for (int at = 0; at < list.Certificates.Count; at++)
            {
                if (at > 0) { output.WriteLine(); }
                CertificateView.Write(output, list.Certificates[at]);
            }
        });
    }
}
