using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Pki;
using KvFs.Pki;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pki init</c></summary>
internal static class PkiInitCommand
{
    private static readonly Option<string> Pool = PkiOptions.Name(
        "--pool", "NAME", "The pool that it signs for. " + NameRule.Rule, "the name of a pool");

    public static Command Build() => new Command("init", "Makes an authority that signs a pool's certificates, for ten years.")
    {
        PkiOptions.Authority, Pool,
    }
    .WithExamples(("kvfs pki init --dir authority --pool prod", "makes authority/ca.crt and authority/ca.key"))
    .Runs(Run);

    private static void Run(CommandContext context)
    {
        string folder = Path.GetFullPath(context.Get(PkiOptions.Authority));
        using CertificateAuthority authority = PkiErrors.Try(() => Make(folder, context.Get(Pool)), failure => failure switch
        {
            PkiFailure.Exists => "Nothing was changed. Name another folder; certificates of a lost ca.key cannot be renewed.",
            _ => null,
        });
        WrittenReport written = new(folder, CertificateReport.Of(authority.Facts, TimeProvider.System.GetUtcNow()));
        context.Show(written, ControlJson.Readable.WrittenReport, output =>
        {
            CertificateView.Write(output, written.Certificate);
            output.WriteLine();
            output.WriteLine($"Keep {folder}/{CertificateAuthority.KeyFile} to yourself: whoever has it can be every part of the pool.");
            output.WriteLine(
                $"Make certificates: kvfs pki issue --dir {folder} --role node --name NAME --dns NAME.EXAMPLE.ORG --out DIR");
        });
    }

    private static CertificateAuthority Make(string folder, string pool)
    {
        CertificateAuthority made = CertificateAuthority.Create(pool, TimeProvider.System);
        try
        {
            made.Save(folder);
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }
}
