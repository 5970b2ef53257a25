using System.CommandLine;
using System.Net;
using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Hosting;
using KvFs.Cli.Pool;
using KvFs.Core;
using KvFs.Node.Maintenance;
using KvFs.Peers;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs node</c>: a storage node of a pool of several, in the foreground.</summary>
internal static class NodeCommand
{
    private static readonly Option<string> Name = new("--name")
    {
        Description = "What people call it; its own in the pool.", HelpName = "NAME", Required = true,
    };

    private static readonly Option<string> Listen = new("--listen")
    {
        Description = "Where other nodes and clients reach it. Port 0 is any free one.",
        HelpName = "ADDRESS:PORT",
        DefaultValueFactory = _ => "127.0.0.1:9740",
    };

    private static readonly Option<string?> Advertise = new("--advertise")
    {
        Description = "The address that others are told, if that is another one.", HelpName = "HOST:PORT",
    };

    private static readonly Option<string> Zone = new("--zone")
    {
        Description = "What fails together with it: copies go to different zones.", HelpName = "ZONE", DefaultValueFactory = _ => "",
    };

    private static readonly Option<uint> Weight = new("--weight")
    {
        Description = "Its share of the pool, in percent.", HelpName = "PERCENT", DefaultValueFactory = _ => PoolLimits.NormalWeight,
    };

    private static readonly Option<string?> Replaces = new("--replaces")
    {
        Description = "The node whose place it takes as it joins: exactly that one's copies move to it. Later starts do not look at this.",
        HelpName = "NODE",
    };

    private static readonly Option<bool> Found = new("--found") { Description = "Make the pool, if there is none yet." };

    private static readonly Option<int> Replicas = new("--replicas")
    {
        Description = "Copies of everything, for a pool that is made.",
        HelpName = "NUMBER",
        DefaultValueFactory = _ => PoolSettings.Default.Replicas,
    };

    private static readonly Option<int> MinInSync = new("--min-in-sync")
    {
        Description = "Copies without which nothing is acknowledged, unless a majority calls the others gone.",
        HelpName = "NUMBER",
        DefaultValueFactory = _ => PoolSettings.Default.MinInSync,
    };

    private static readonly Option<int> Shards = new("--shards")
    {
        Description = "Parts that everything is divided into, for a pool that is made; never changes.",
        HelpName = "NUMBER",
        DefaultValueFactory = _ => HomeShard.DefaultCount,
    };

    private static readonly Option<int> ScrubRate = new("--scrub-rate")
    {
        Description = "MiB of its blocks that it reads a second at the most, to find bad ones; 0: none. All of them take a week at the least.",
        HelpName = "MIB",
        DefaultValueFactory = _ => (int)(new ScrubOptions().BytesPerSecond >> 20),
    };

    private static readonly Option<LogLevel?> Level = SharedOptions.Choice<LogLevel>(
        "--log-level", "The least important lines that are logged. Default: information.");

    private static readonly Option<LogFormat?> Format = SharedOptions.Choice<LogFormat>(
        "--log-format", "How lines are logged, for people or for programs. Default: text.");

    /// <summary>How <c>kvfs up --nodes</c> starts it: it stops, without handing over, when its standard input ends.</summary>
    private static readonly Option<bool> WithParent = new("--with-parent") { Hidden = true };

    public static Command Build() => new Command("node", "Runs a storage node of a pool of several, until Ctrl-C.")
    {
        Name, Listen, Advertise, Zone, Weight, Replaces, Found, Replicas, MinInSync, Shards, ScrubRate, Level, Format, WithParent,
        PoolOptions.Authority, PoolOptions.Certificates, PoolOptions.Pool, PoolOptions.Insecure,
    }
    .WithExamples(
        ("kvfs node --name n1 --data /srv/n1 --authority http://127.0.0.1:2379 --pki n1 --pool prod --listen 10.0.0.1:9740 --found", "the first one"),
        ("kvfs node --name n2 --data /srv/n2 --authority file:/srv/map --insecure --listen 127.0.0.1:0", "another one, to try it on one machine"),
        ("kvfs node --name n7 --data /srv/n7 --authority http://127.0.0.1:2379 --pki n7 --pool prod --listen 10.0.0.7:9740 --replaces n3", "in the place of one that is gone"))
    .Runs(RunAsync);

    private static async Task<ExitCode> RunAsync(CommandContext context, CancellationToken cancel)
    {
        NameRule.Check(context.Get(Name), "the name of a node");
        using StopSignals signals = new();
        using ILoggerFactory loggers = Logs.Create(context.Get(Format) ?? LogFormat.Text, context.Get(Level) ?? LogLevel.Information);
        PeerSecurity security = PoolOptions.OpenSecurity(context, loggers);
        (string host, int port) = PoolOptions.ParseAddress(context.Get(Listen));
        if (!IPAddress.TryParse(host, out IPAddress? address))
        {
            throw new CommandException(ExitCode.Usage, $"'{host}' is no address to listen on: name one of this machine, or 0.0.0.0.");
        }

        if (port == 0) { port = ServerPorts.Find(address, 1)[0]; }
        IPoolAuthority authority = PoolOptions.OpenAuthority(context);
        await using (authority.ConfigureAwait(false))
        {
            PoolServer server = await PoolServer.StartAsync(
                new()
                {
                    Storage = new()
                    {
                        DataPath = context.DataPath,
                        NodeName = context.Get(Name),
                        ShardCount = context.Get(Shards),
                        Scrub = new() { BytesPerSecond = (long)context.Get(ScrubRate) << 20 },
                    },
                    Authority = authority,
                    Addresses = [context.Get(Advertise) ?? new IPEndPoint(address, port).ToString()],
                    Dial = node => PoolOptions.Dial(security, node.Addresses[0], WireReplication.Limits),
                    Zone = context.Get(Zone),
                    Weight = context.Get(Weight),
                    Replaces = context.Get(Replaces),
                    Found = context.Get(Found) ? new PoolSettings(context.Get(Replicas), context.Get(MinInSync)) : null,
                },
                new(address, port),
                security,
                loggers,
                signals.First).ConfigureAwait(false);
            await using (server.ConfigureAwait(false))
            {
                await Console.Out.WriteLineAsync(
                    $"Node {context.Get(Name)} is node {server.Node.Process.Node} of pool {server.Node.Map.Pool}, on {server.Address}.").ConfigureAwait(false);
                Task signal = signals.NextAsync(CancellationToken.None);
                Task orphaned = context.Get(WithParent) ? EndOfInputAsync() : Task.Delay(Timeout.Infinite, CancellationToken.None);
                if (await Task.WhenAny(signal, orphaned).ConfigureAwait(false) == signal) { await server.LeaveAsync().ConfigureAwait(false); }
            }
        }

        return ExitCode.Ok;
    }

    /// <summary>Ends when whoever started this process has ended, or wants it to.</summary>
    private static Task EndOfInputAsync() => Task.Factory.StartNew(
        static () =>
        {
            using Stream input = Console.OpenStandardInput();
            byte[] ignored = new byte[1];
            while (input.Read(ignored) > 0) { }
        },
        CancellationToken.None,
        TaskCreationOptions.LongRunning,
        TaskScheduler.Default);
}
