using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;
using KvFs.Cli.Output;
using KvFs.Cli.Pool;
using KvFs.Client.Remote;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs up</c>: serves a data folder, in the foreground or the background.</summary>
internal static class UpCommand
{
    private static readonly Option<string> Drive = new("--drive")
    {
        Description = "The drive to mount; made if it is missing.",
        HelpName = "NAME",
        DefaultValueFactory = _ => "main",
    };

    private static readonly Option<string?> Mount = new("--mount")
    {
        Description = "Where it appears; made if it is missing. Default: /mnt/kvfs (root) or ~/kvfs.",
        HelpName = "DIR",
    };

    private static readonly Option<bool> NoMount = new("--no-mount")
    {
        Description = "Mount nothing; `kvfs mount` can later.",
    };

    private static readonly Option<ulong?> Size =
        SharedOptions.Size("--size", "Quota of a drive that is made. Default: as much as the disk has.");

    private static readonly Option<bool> ReadOnly = new("--read-only") { Description = "Mount it so that nobody can write." };

    private static readonly Option<bool> Detach = new("--detach", "-d")
    {
        Description = "Stay in the background, and log into kvfs.log in the data folder.",
    };

    private static readonly Option<MetricsEndpoint> Metrics = new("--metrics")
    {
        Description = "Where /metrics, /healthz and /readyz listen. Port 0 is any free one. Default: 127.0.0.1:9747, or another "
            + "port if that is taken.",
        HelpName = "ADDRESS:PORT|off",
        DefaultValueFactory = _ => MetricsEndpoint.Default,
        CustomParser = result =>
        {
            if (MetricsEndpoint.TryParse(result.Tokens[0].Value, out MetricsEndpoint? endpoint)) { return endpoint; }
            result.AddError(
                $"'{result.Tokens[0].Value}' is no address and port, such as 127.0.0.1:9747 or [::1]:0, and not off.");
            return null;
        },
    };

    private static readonly Option<int?> Nodes = new("--nodes")
    {
        Description = "A pool of so many nodes on this machine, each a process of its own, with up to three copies of everything.",
        HelpName = "NUMBER",
    };

    private static readonly Option<string?> Servers = new("--server")
    {
        Description = "No node here: use the pool that has nodes at these addresses.", HelpName = "HOST:PORT[,…]",
    };

    private static readonly Option<string?> Near = new("--near")
    {
        Description = "The pool's node on this machine, by name: data is read from it. Default: any whose address is this machine's.",
        HelpName = "NODE",
    };

    private static readonly Option<string?> Zone = new("--zone")
    {
        Description = "The zone that this machine is in: data is read from nodes of it. Default: that of --near.", HelpName = "ZONE",
    };

    private static readonly Option<LogLevel?> Level = SharedOptions.Choice<LogLevel>(
        "--log-level", "The least important lines that are logged. Default: information.");

    private static readonly Option<LogFormat?> Format = SharedOptions.Choice<LogFormat>(
        "--log-format", "How lines are logged, for people or for programs. Default: text, and json with --detach.");

    /// <summary>How <c>--detach</c> starts the process that stays.</summary>
    private static readonly Option<bool> InBackground = new("--in-background") { Hidden = true };

    public static Command Build()
    {
        Drive.Validators.Add(result =>
        {
            string name = result.GetValueOrDefault<string>();
            if (!NameRule.IsName(name)) { result.AddError($"'{name}' cannot be the name of a drive. {NameRule.Rule}"); }
        });
        Nodes.Validators.Add(static result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1 or > OwnPool.MaxNodes) { result.AddError($"--nodes is from 1 to {OwnPool.MaxNodes}."); }
        });
        return new Command("up", "Starts a node on a data folder, or a pool of several, and mounts a drive of it.")
        {
            Drive, Mount, NoMount, Size, ReadOnly, SharedOptions.Shared, SharedOptions.Dev, SharedOptions.Suid, SharedOptions.NoAtime,
            SharedOptions.Timeout,
            Nodes, Servers, PoolOptions.Certificates, PoolOptions.Pool, PoolOptions.Insecure, Near, Zone, Detach, Metrics, Level, Format, InBackground,
        }
        .WithExamples(
            ("kvfs up", "serve the drive main until Ctrl-C"),
            ("kvfs up --detach", "the same in the background; `kvfs down` ends it"),
            ("kvfs up --data /srv/kvfs --drive home --mount /srv/home --size 10GiB", "another place, with a quota"),
            ("kvfs up --nodes 3 --data /srv/pool", "three nodes, three copies; kill one and go on"),
            ("kvfs up --server 10.0.0.1:9740,10.0.0.2:9740 --pki web --pool prod --drive home", "a drive of a pool on other machines"),
            ("kvfs up --metrics off --log-format json", "no metrics page; logs for programs"))
        .Runs(RunAsync);
    }

    private static async Task<ExitCode> RunAsync(CommandContext context, CancellationToken cancel)
    {
        ServerOptions options = OptionsOf(context);
        if (context.Get(InBackground)) { return await RunInBackgroundAsync(context, options).ConfigureAwait(false); }
        return context.Get(Detach)
            ? await DetachAsync(context, options).ConfigureAwait(false)
            : await ServeAsync(context, options).ConfigureAwait(false);
    }

    private static ServerOptions OptionsOf(CommandContext context)
    {
        if (context.Get(NoMount) && context.Get(Mount) is not null)
        {
            throw new CommandException(ExitCode.Usage, "--mount and --no-mount contradict each other.");
        }
        string? mount = context.Get(NoMount)
            ? null
            : Path.TrimEndingDirectorySeparator(Path.GetFullPath(context.Get(Mount) ?? DataFolder.DefaultMount()));
        return new(
            context.DataPath, context.Get(Drive), mount, context.Get(Size), context.Get(ReadOnly), context.Get(SharedOptions.Shared),
            context.Get(Metrics),
            PoolOf(context),
            context.Get(SharedOptions.Dev),
            context.Get(SharedOptions.Suid),
            context.Get(SharedOptions.NoAtime),
            context.Get(SharedOptions.Timeout));
    }

    private static PoolChoice? PoolOf(CommandContext context)
    {
        int? nodes = context.Get(Nodes);
        string? servers = context.Get(Servers);
        string? certificates = context.Get(PoolOptions.Certificates);
        string? pool = context.Get(PoolOptions.Pool);
        bool isInsecure = context.Get(PoolOptions.Insecure);
        if (nodes is not null && servers is not null) { throw new CommandException(ExitCode.Usage, "--nodes and --server contradict each other."); }
        bool isSecured = certificates is not null || pool is not null;
        NearOptions near = new() { Node = context.Get(Near), Zone = context.Get(Zone) };
        if (servers is null && near != new NearOptions()) { throw new CommandException(ExitCode.Usage, "--near and --zone go with --server."); }
        if (servers is null && isSecured) { throw new CommandException(ExitCode.Usage, "--pki and --pool go with --server."); }
        if (nodes is { } count) { return new PoolChoice.Own(count, isInsecure); }
        if (servers is null)
        {
            return isInsecure ? throw new CommandException(ExitCode.Usage, "--insecure goes with --nodes or --server.") : null;
        }

        if (isInsecure == isSecured || (certificates is null) != (pool is null))
        {
            throw new CommandException(
                ExitCode.Usage,
                "A pool is talked to with certificates: --pki DIR and --pool NAME are missing, or contradict --insecure.",
                "Make them with `kvfs pki`, or pass --insecure alone for a pool on this machine's loopback.");
        }

        return new PoolChoice.Running(
            servers.Split(',', StringSplitOptions.RemoveEmptyEntries), certificates is null ? null : Path.GetFullPath(certificates), pool, near);
    }

    private static IEnumerable<string> ArgumentsOf(PoolChoice? pool) => pool switch
    {
        PoolChoice.Own own => ["--nodes", own.Count.ToString(System.Globalization.CultureInfo.InvariantCulture), .. own.Insecure ? (string[])["--insecure"] : []],
        PoolChoice.Running running =>
        [
            "--server", string.Join(',', running.Addresses),
            .. running.Certificates is { } certificates ? (string[])["--pki", certificates, "--pool", running.Name!] : ["--insecure"],
            .. running.Near.Node is { } node ? (string[])["--near", node] : [],
            .. running.Near.Zone is { } zone ? (string[])["--zone", zone] : [],
        ],
        _ => [],
    };

    private static async Task<ExitCode> ServeAsync(CommandContext context, ServerOptions options)
    {
        using StopSignals signals = new();
        using ILoggerFactory loggers = Logs.Create(context.Get(Format) ?? LogFormat.Text, context.Get(Level) ?? LogLevel.Information);
        NodeServer server;
        using (ProgressLine progress = new())
        {
            server = await NodeServer.StartAsync(options, loggers, progress, signals.First).ConfigureAwait(false);
        }
        await using (server.ConfigureAwait(false))
        {
            StatusReport status = await server.GetStatusAsync(CancellationToken.None).ConfigureAwait(false);
            UpView.Show(context, status, options, isForeground: true);
            return await ServeLoop.RunAsync(server, signals, loggers).ConfigureAwait(false);
        }
    }

    private static async Task<ExitCode> DetachAsync(CommandContext context, ServerOptions options)
    {
        if (await FindRunningAsync(context, options).ConfigureAwait(false) is { } running)
        {
            UpView.Show(context, running, options, isForeground: false);
            return ExitCode.Ok;
        }
        DataDirectory.Prepare(options.DataPath);
        using StopSignals signals = new();
        StatusReport status;
        using (ProgressLine progress = new())
        {
            status = await BackgroundProcess.StartAsync(
                ArgumentsOf(context, options), LogPath(options), progress, signals.First).ConfigureAwait(false);
        }
        UpView.Show(context, status, options, isForeground: false);
        return ExitCode.Ok;
    }

    /// <summary>The process that serves just what is asked for already, so that <c>up --detach</c> can be repeated.</summary>
    private static async Task<StatusReport?> FindRunningAsync(CommandContext context, ServerOptions options)
    {
        try
        {
            using ControlClient client = context.Connect();
            StatusReport status = await client.GetStatusAsync(CancellationToken.None).ConfigureAwait(false);
            bool isThis = status.Mounts.Any(mount =>
                mount.Drive == options.Drive && mount.Directory == options.MountPath && mount.ReadOnly == options.ReadOnly
                && mount.Shared == options.Shared && mount.Dev == options.Dev && mount.Suid == options.Suid
                && mount.NoAtime == options.NoAtime && mount.Timeout == options.Timeout);
            if (isThis || options.MountPath is null) { return status; }
            throw new CommandException(
                ExitCode.InUse, $"A kvfs runs on {options.DataPath} already (pid {status.Pid}).",
                $"Mount with it: kvfs mount {options.Drive} {options.MountPath}");
        }
        catch (CommandException e) when (e.Code == ExitCode.NotRunning)
        {
            return null;
        }
    }

    private static async Task<ExitCode> RunInBackgroundAsync(CommandContext context, ServerOptions options)
    {
        using BackgroundStart start = BackgroundStart.Enter(LogPath(options));
        using StopSignals signals = new();
        using ILoggerFactory loggers = Logs.Create(context.Get(Format) ?? LogFormat.Json, context.Get(Level) ?? LogLevel.Information);
        NodeServer server;
        try
        {
            server = await NodeServer.StartAsync(options, loggers, start, signals.First).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            ControlError error = ControlErrors.From(e, loggers);
            start.Fail(error);
            return error.Code;
        }
        await using (server.ConfigureAwait(false))
        {
            start.Succeed(await server.GetStatusAsync(CancellationToken.None).ConfigureAwait(false));
            start.Dispose();
            return await ServeLoop.RunAsync(server, signals, loggers).ConfigureAwait(false);
        }
    }

    private static string LogPath(ServerOptions options) => Path.Combine(options.DataPath, BackgroundStart.LogName);

    /// <summary>The command line of the process that stays: nothing in it depends on this one's folder or environment.
    /// </summary>
    private static List<string> ArgumentsOf(CommandContext context, ServerOptions options)
    {
        List<string> arguments = ["up", "--in-background", "--data", options.DataPath, "--drive", options.Drive];
        arguments.AddRange(options.MountPath is null ? ["--no-mount"] : ["--mount", options.MountPath]);
        if (options.QuotaBytes is { } quota)
        {
            arguments.AddRange(["--size", quota.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        }
        if (options.ReadOnly) { arguments.Add("--read-only"); }
        if (options.Shared) { arguments.Add(SharedOptions.Shared.Name); }
        if (options.Dev) { arguments.Add(SharedOptions.Dev.Name); }
        if (options.Suid) { arguments.Add(SharedOptions.Suid.Name); }
        if (options.NoAtime) { arguments.Add(SharedOptions.NoAtime.Name); }
        if (options.Timeout is { } timeout) { arguments.AddRange([SharedOptions.Timeout.Name, DurationText.Format(timeout)]); }
        arguments.AddRange(ArgumentsOf(options.Pool));
        if (!options.Metrics.MayMove) { arguments.AddRange(["--metrics", options.Metrics.Address?.ToString() ?? "off"]); }
        foreach (Option option in (Option[])[Level, Format])
        {
            if (context.Parsed.GetResult(option) is { Implicit: false, Tokens: [var token, ..] })
            {
                arguments.AddRange([option.Name, token.Value]);
            }
        }
        return arguments;
    }
}
