using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Pki;
using KvFs.Pki;
using KvFs.Pki.Files;

namespace KvFs.Cli.Pool;

/// <summary>The folder of a pool whose nodes are all on this machine.</summary>
/// <remarks>In the data folder: <c>pool.lock</c>, held while a process runs the pool; <c>pool.map</c>, the pool map;
/// <c>pki/authority</c>, <c>pki/client</c> and <c>pki/nK</c>, certificates that <c>kvfs pki</c> can show and renew; <c>nK</c> and
/// <c>nK.log</c>, the data of node K and what it said.</remarks>
internal sealed class OwnPool : IDisposable
{
    /// <summary>What the certificates are of.</summary>
    public const string Name = "local";

    /// <summary>As many as one machine can usefully have.</summary>
    public const int MaxNodes = 9;

    private const string MapFile = "pool.map";

    private readonly string folder;
    private readonly FileStream taken;

    private OwnPool(string folder, FileStream taken)
    {
        this.folder = folder;
        this.taken = taken;
    }

    public string MapPath => Path.Combine(folder, MapFile);

    public string ClientCertificates => Path.Combine(folder, "pki", "client");

    public static string NodeName(int number) => string.Create(CultureInfo.InvariantCulture, $"n{number}");

    public string DataOf(int number) => Path.Combine(folder, NodeName(number));

    public string LogOf(int number) => Path.Combine(folder, NodeName(number) + ".log");

    public string CertificatesOf(int number) => Path.Combine(folder, "pki", NodeName(number));

    /// <summary>Takes the folder for this process.</summary>
    /// <param name="folder">Existing.</param>
    /// <param name="count">Nodes.</param>
    /// <exception cref="CommandException">Another process has it, or it is not a pool's, or has more nodes.</exception>
    public static OwnPool Take(string folder, int count)
    {
        if (Directory.Exists(Path.Combine(folder, "db")))
        {
            throw new CommandException(
                ExitCode.Refused,
                $"{folder} is the data folder of a single node.",
                "A pool's nodes have folders of their own: name another folder with --data.");
        }

        int before = CountNodes(folder);
        if (before > count)
        {
            throw new CommandException(
                ExitCode.Refused, $"The pool in {folder} has {before} nodes.", $"Start all of them: --nodes {before}.");
        }

        try
        {
            FileStream taken = new(
                Path.Combine(folder, "pool.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return new(folder, taken);
        }
        catch (IOException)
        {
            throw new CommandException(ExitCode.InUse, $"A kvfs runs the pool in {folder} already.", "Stop it with `kvfs down`.");
        }
    }

    /// <summary>A single node cannot use the folder of a pool.</summary>
    /// <exception cref="CommandException">It is one.</exception>
    public static void CheckIsNone(string folder)
    {
        if (!File.Exists(Path.Combine(folder, MapFile))) { return; }
        int count = CountNodes(folder);
        throw new CommandException(
            ExitCode.Refused,
            $"{folder} is the folder of a pool of {count} nodes.",
            $"Start it with `kvfs up --nodes {count}`, or name another folder with --data.");
    }

    /// <summary>Makes the certificates that are missing or end soon.</summary>
    public void MakeCertificates(int count)
    {
        string authorityFolder = Path.Combine(folder, "pki", "authority");
        using CertificateAuthority authority = PkiErrors.Try(
            () => File.Exists(Path.Combine(authorityFolder, CertificateAuthority.KeyFile))
                ? CertificateAuthority.Load(authorityFolder, TimeProvider.System)
                : NewAuthority(authorityFolder),
            static _ => null);
        Issue(authority, ClientCertificates, PeerRole.Client, "client");
        for (int number = 1; number <= count; number++) { Issue(authority, CertificatesOf(number), PeerRole.Node, NodeName(number)); }
    }

    public void Dispose() => taken.Dispose();

    private static int CountNodes(string folder) =>
        Enumerable.Range(1, MaxNodes).LastOrDefault(number => Directory.Exists(Path.Combine(folder, NodeName(number))));

    private static CertificateAuthority NewAuthority(string folder)
    {
        CertificateAuthority made = CertificateAuthority.Create(Name, TimeProvider.System);
        made.Save(folder);
        return made;
    }

    private static void Issue(CertificateAuthority authority, string folder, PeerRole role, string name)
    {
        if (CertificateFolder.IsUsable(folder) && !IsDue(folder)) { return; }
        LeafRequest request = new()
        {
            Identity = new(Name, role, name),
            Addresses = role == PeerRole.Node ? [IPAddress.Loopback] : [],
            Usages = role == PeerRole.Node ? PeerUsages.Server | PeerUsages.Client : PeerUsages.Client,
        };
        using IssuedCertificate issued = PkiErrors.Try(() => authority.Issue(request), static _ => null);
        CertificateFolder.Write(folder, issued, authority.Roots, replace: true);
    }

    private static bool IsDue(string folder)
    {
        using X509Certificate2 own =
            CertificateFolder.ReadCertificates(Path.Combine(folder, CertificateFolder.CertificateFile))[0];
        return CertificateFacts.Of(own).IsDue(TimeProvider.System.GetUtcNow());
    }
}
