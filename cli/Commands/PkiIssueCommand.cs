using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Pki;
using KvFs.Pki;
using KvFs.Pki.Files;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pki issue</c></summary>
internal static class PkiIssueCommand
{
    private static readonly Option<PeerRole?> Role = SharedOptions.Choice<PeerRole>("--role", "What it is in the pool.");

    private static readonly Option<string> Name = PkiOptions.Name(
        "--name", "NAME", "What it is called, once among those of its role. " + NameRule.Rule, "the name of a part of a pool");

    private static readonly Option<string?> Pool = new("--pool")
    {
        Description = "The pool. Needed only with an authority that kvfs did not make; others know theirs.",
        HelpName = "NAME",
    };

    private static readonly Option<string[]> Dns = new("--dns")
    {
        Description = "A name that clients call it by; more than once, if there are several. The first part may be '*'.",
        HelpName = "NAME",
    };

    private static readonly Option<IPAddress[]> Addresses = new("--ip")
    {
        Description = "An address that clients call it by; more than once, if there are several.",
        HelpName = "ADDRESS",
        CustomParser = result =>
        {
            List<IPAddress> addresses = [];
            foreach (Token token in result.Tokens)
            {
                if (IPAddress.TryParse(token.Value, out IPAddress? address)) { addresses.Add(address); }
                else { result.AddError($"'{token.Value}' is no address, such as 10.0.0.1 or fd00::1."); }
            }
            return [.. addresses];
        },
    };

    private static readonly Option<Side?> Usage = SharedOptions.Choice<Side>(
        "--usage", "Which side of a connection it is for. Default: both with --role node, --dns or --ip, else client.");

    private static readonly Option<string> Out = PkiOptions.Out("Where to write tls.crt, tls.key and ca.crt.");

    private static readonly Option<int?> Days = PkiOptions.Days("How long it is valid, at most as long as its authority. Default: 365.");

    private static readonly Option<bool> Force = new("--force") { Description = "Replace a certificate and key that are there." };

    private enum Side
    {
        Server,
        Client,
        Both,
    }

    public static Command Build()
    {
        Role.Required = true;
        return new Command("issue", "Signs a certificate for a new key, and writes both.")
        {
            PkiOptions.Authority, Role, Name, Pool, Dns, Addresses, Usage, Out, Days, Force,
        }
        .WithExamples(
            ("kvfs pki issue --dir authority --role node --name n1 --dns n1.example.org --ip 10.0.0.1 --out n1", "for a storage node"),
            ("kvfs pki issue --dir authority --role client --name web --out web --days 90", "for one who mounts drives"))
        .Runs(Run);
    }

    private static void Run(CommandContext context)
    {
        string folder = Path.GetFullPath(context.Get(Out));
        using CertificateAuthority authority = PkiOptions.OpenAuthority(context);
        LeafRequest request = PkiErrors.Try(() => RequestOf(context, authority), _ => null);
        using IssuedCertificate issued = PkiErrors.Try(() => authority.Issue(request), failure => failure switch
        {
            PkiFailure.Invalid => "A server has --dns NAME or --ip ADDRESS; one that only calls others has --usage client.",
            PkiFailure.Foreign => "Leave out --pool, or name the folder of that pool's authority with --dir.",
            _ => null,
        });
        PkiErrors.Try(
            () =>
            {
                CertificateFolder.Write(folder, issued, authority.Roots, replace: context.Get(Force));
                return true;
            },
            failure => failure == PkiFailure.Exists
                ? $"Renew it: kvfs pki renew --dir {context.Get(PkiOptions.Authority)} --out {folder}. Or replace it: --force."
                : null);
        WrittenReport written = new(folder, CertificateReport.Of(issued.Certificate, TimeProvider.System.GetUtcNow()));
        context.Show(written, ControlJson.Readable.WrittenReport, output =>
        {
            CertificateView.Write(output, written.Certificate);
            output.WriteLine();
            output.WriteLine($"Written: {folder}/{{{CertificateFolder.CertificateFile},{CertificateFolder.KeyFile},{CertificateFolder.RootsFile}}}");
        });
    }

    /// <exception cref="CommandException">Nobody says which pool it is for.</exception>
    /// <exception cref="PkiException">The pool's name is none.</exception>
    private static LeafRequest RequestOf(CommandContext context, CertificateAuthority authority)
    {
        PeerRole role = context.Get(Role)!.Value;
        string pool = context.Get(Pool) ?? authority.Pool ?? throw new CommandException(
            ExitCode.Usage, "The authority does not say which pool it is of.", "Pass --pool NAME.");
        string[] names = context.Get(Dns) ?? [];
        IPAddress[] addresses = context.Get(Addresses) ?? [];
        bool serves = role == PeerRole.Node || names.Length > 0 || addresses.Length > 0;
        return new LeafRequest
        {
            Identity = new PeerIdentity(pool, role, context.Get(Name)),
            DnsNames = [.. names],
            Addresses = [.. addresses],
            Usages = (context.Get(Usage) ?? (serves ? Side.Both : Side.Client)) switch
            {
                Side.Server => PeerUsages.Server,
                Side.Client => PeerUsages.Client,
                _ => PeerUsages.Server | PeerUsages.Client,
            },
            Validity = context.Get(Days) is { } days ? TimeSpan.FromDays(days) : LeafRequest.DefaultValidity,
        };
    }
}
