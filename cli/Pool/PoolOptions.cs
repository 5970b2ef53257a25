using System.CommandLine;
using System.Globalization;
using System.Net;
using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Pki;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Peers;
using KvFs.Pki;
using KvFs.Pki.Files;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Pool;

/// <summary>What several commands about a pool of several nodes have on their command lines.</summary>
internal static class PoolOptions
{
    public static Option<string> Authority { get; } = new("--authority")
    {
        Description = "Where the pool map lives: a file for nodes of one machine, or an etcd.",
        HelpName = "file:PATH|http[s]://HOST:PORT[,…]",
        Required = true,
    };

    /// <summary>The same, where something else can be meant, too.</summary>
    public static Option<string?> OtherAuthority { get; } = new("--authority")
    {
        Description = "Of the pool whose map lives there, instead of what runs on the data folder.",
        HelpName = "file:PATH|http[s]://HOST:PORT[,…]",
    };

    public static Option<string?> Certificates { get; } = new("--pki")
    {
        Description = "A folder with tls.crt, tls.key and ca.crt, as `kvfs pki issue` writes it.",
        HelpName = "DIR",
    };

    public static Option<string?> Pool { get; } = new("--pool")
    {
        Description = "The pool that the certificates are of.",
        HelpName = "NAME",
    };

    public static Option<bool> Insecure { get; } = new("--insecure")
    {
        Description = "Without certificates: plain text, on loopback only.",
    };

    /// <exception cref="CommandException">The option makes no sense.</exception>
    public static IPoolAuthority OpenAuthority(CommandContext context) => OpenAuthority(context.Get(Authority));

    /// <exception cref="CommandException">It names none.</exception>
    public static IPoolAuthority OpenAuthority(string text)
    {
        try
        {
            if (text.StartsWith("file:", StringComparison.Ordinal)) { return new FileAuthority(Path.GetFullPath(text["file:".Length..])); }
            if (text.StartsWith("http", StringComparison.Ordinal))
            {
                return new EtcdAuthority(new() { Endpoints = [.. text.Split(',').Select(static one => new Uri(one))] });
            }
        }
        catch (Exception e) when (e is ArgumentException or UriFormatException or DirectoryNotFoundException)
        {
            throw new CommandException(ExitCode.Usage, e.Message);
        }

        throw new CommandException(
            ExitCode.Usage, $"'{text}' is no authority.", "Name file:/path/of/the/map, or an etcd such as http://127.0.0.1:2379.");
    }

    /// <exception cref="CommandException">Neither certificates nor --insecure, or the certificates cannot be used.</exception>
    public static PeerSecurity OpenSecurity(CommandContext context, ILoggerFactory loggers)
    {
        string? folder = context.Get(Certificates);
        if (context.Get(Insecure))
        {
            return folder is null
                ? PeerSecurity.PlainTextOnLoopback
                : throw new CommandException(ExitCode.Usage, "--pki and --insecure contradict each other.");
        }

        if (folder is null || context.Get(Pool) is not { } pool)
        {
            throw new CommandException(
                ExitCode.Usage,
                "Nodes are talked to with certificates: --pki DIR and --pool NAME are missing.",
                "Make them with `kvfs pki`, or pass --insecure for a pool on this machine's loopback.");
        }

        return SecurityOf(folder, pool, loggers);
    }

    /// <exception cref="CommandException">The certificates cannot be used.</exception>
    public static PeerSecurity SecurityOf(string folder, string pool, ILoggerFactory loggers) => PkiErrors.Try(
        () => PeerSecurity.ByCertificates(
            new CertificateFiles(folder, TimeProvider.System, loggers.CreateLogger<CertificateFiles>()), pool),
        static _ => "Make them with `kvfs pki issue`.");

    /// <summary>Reads "host:port" or "[address]:port".</summary>
    /// <exception cref="CommandException">It is none.</exception>
    public static (string Host, int Port) ParseAddress(string text)
    {
        int colon = text.LastIndexOf(':');
        bool hasPort = colon > 0 && colon > text.LastIndexOf(']');
        if (hasPort && int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int port)
            && port is >= 0 and <= IPEndPoint.MaxPort)
        {
            return (text[..colon].Trim('[', ']'), port);
        }

        throw new CommandException(ExitCode.Usage, $"'{text}' is no address and port, such as 10.0.0.1:9740 or node-1.example.org:9740.");
    }

    /// <summary>A channel to a node of the pool.</summary>
    public static GrpcChannel Dial(PeerSecurity security, string address, GrpcCallLimits limits)
    {
        (string host, int port) = ParseAddress(address);
        return new(
            security.Target(host, port, PeerRole.Node),
            new()
            {
                CallLimits = limits,
                ConnectTimeout = TimeSpan.FromSeconds(2),
                MaxConnectionAge = TimeSpan.FromHours(1),

                // On a network that was mended a new connection talks at once, and one that lost all it sent only much later.
                KeepAlivePingDelay = TimeSpan.FromSeconds(1),
                KeepAlivePingTimeout = TimeSpan.FromSeconds(4),
            });
    }

    /// <summary>The map that stands in the authority.</summary>
    /// <exception cref="CommandException">There is none, or it cannot be read.</exception>
    public static async Task<PoolMap> ReadMapAsync(IPoolAuthority authority, CancellationToken cancel)
    {
        AuthorityAnswer answer = await authority.ReadAsync(cancel).ConfigureAwait(false);
        return answer switch
        {
            { Outcome: AuthorityOutcome.Ok, Map: { } map } => map,
            { Outcome: AuthorityOutcome.Ok } => throw new CommandException(
                ExitCode.NotFound,
                "There is no pool map in this authority.",
                "Start the first node of a new pool with `kvfs node --found`; a map that was lost is put together from what its nodes know: `kvfs pool rebuild`."),
            { Outcome: AuthorityOutcome.Damaged } => throw new CommandException(ExitCode.Damaged, $"The pool map cannot be read: {answer.Reason}."),
            _ => throw new CommandException(ExitCode.NotRunning, $"The authority does not answer: {answer.Reason}."),
        };
    }
}
