using System.Net;
using System.Net.Sockets;
using KvFs.Cli.CommandLine;
using KvFs.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>Shows metrics and health over HTTP: <c>/metrics</c>, <c>/healthz</c> (the process lives) and <c>/readyz</c> (it
/// serves). It only reads, and has no secrets; still it listens on loopback unless told otherwise.</summary>
internal sealed partial class MonitorServer : IAsyncDisposable
{
    /// <summary>Scrapers and probes at once.</summary>
    private const int MaxConnections = 32;

    /// <summary>A connection that says nothing for so long is closed: twice the usual time between scrapes.</summary>
    private static readonly TimeSpan IdleTime = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan HeaderTime = TimeSpan.FromSeconds(10);

    private readonly WebApplication application;
    private readonly ServerMetrics metrics;

    private MonitorServer(WebApplication application, ServerMetrics metrics, string address)
    {
        this.application = application;
        this.metrics = metrics;
        Address = address;
    }

    /// <summary>Where it listens, as <c>http://127.0.0.1:9747</c>.</summary>
    public string Address { get; }

    /// <summary>Listens; null if the endpoint is off.</summary>
    /// <exception cref="CommandException">The address cannot be listened on.</exception>
    public static async Task<MonitorServer?> StartAsync(
        MetricsEndpoint endpoint, NodeServer server, ILoggerFactory loggers, CancellationToken cancel)
    {
        if (endpoint.Address is null) { return null; }
        ServerMetrics metrics = new(server, loggers.CreateLogger<ServerMetrics>());
        try
        {
            return await ListenAsync(endpoint, metrics, server, loggers, cancel).ConfigureAwait(false);
        }
        catch
        {
            metrics.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await application.StopAsync(CancellationToken.None).ConfigureAwait(false);
        await application.DisposeAsync().ConfigureAwait(false);
        metrics.Dispose();
    }

    private static async Task<MonitorServer> ListenAsync(
        MetricsEndpoint endpoint, ServerMetrics metrics, NodeServer server, ILoggerFactory loggers, CancellationToken cancel)
    {
        try
        {
            return await ListenAtAsync(endpoint.Address!, metrics, server, loggers, cancel).ConfigureAwait(false);
        }
        catch (IOException e) when (e.InnerException is AddressInUseException && endpoint.MayMove)
        {
            LogMoved(loggers.CreateLogger<MonitorServer>(), endpoint.Address!);
            IPEndPoint free = new(endpoint.Address!.Address, 0);
            return await ListenAtAsync(free, metrics, server, loggers, cancel).ConfigureAwait(false);
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            throw CannotListen(ExitCode.InUse, "it is in use");
        }
        catch (SocketException e)
        {
            throw CannotListen(
                e.SocketErrorCode == SocketError.AccessDenied ? ExitCode.NotPermitted : ExitCode.Failure, e.Message);
        }

        CommandException CannotListen(ExitCode code, string why) => new(
            code, $"The metrics page cannot listen on {endpoint.Address}: {why}.",
            "Choose another address with --metrics, for example 127.0.0.1:0 (any free port) or off.");
    }

    private static async Task<MonitorServer> ListenAtAsync(
        IPEndPoint address, ServerMetrics metrics, NodeServer server, ILoggerFactory loggers, CancellationToken cancel)
    {
        WebApplication application = Build(address, metrics, new Readiness(server), loggers);
        try
        {
            await application.StartAsync(cancel).ConfigureAwait(false);
            IServer listening = application.Services.GetRequiredService<IServer>();
            string bound = listening.Features.Get<IServerAddressesFeature>()!.Addresses.Single();
            return new MonitorServer(application, metrics, bound);
        }
        catch
        {
            await application.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static WebApplication Build(
        IPEndPoint address, ServerMetrics metrics, Readiness readiness, ILoggerFactory loggers)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(loggers);
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.Limits.MaxRequestBodySize = 0;
            options.Limits.MaxConcurrentConnections = MaxConnections;
            options.Limits.KeepAliveTimeout = IdleTime;
            options.Limits.RequestHeadersTimeout = HeaderTime;
            options.Listen(address, listen => listen.Protocols = HttpProtocols.Http1);
        });
        WebApplication application = builder.Build();
        application.Use(AnswerStoppingAsync);
        application.UseRouting();
        application.MapGet("/metrics", async context =>
        {
            context.Response.ContentType = MetricsPage.ContentType;
            await metrics.WriteAsync(context.Response.BodyWriter, context.RequestAborted).ConfigureAwait(false);
        });
        application.MapGet("/healthz", context => context.Response.WriteAsync("ok\n", context.RequestAborted));
        application.MapGet("/readyz", async context =>
        {
            IReadOnlyList<string> troubles = await readiness.CheckAsync(context.RequestAborted).ConfigureAwait(false);
            context.Response.StatusCode = troubles.Count == 0 ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
            string text = troubles.Count == 0 ? "ok\n" : string.Join('\n', troubles) + "\n";
            await context.Response.WriteAsync(text, context.RequestAborted).ConfigureAwait(false);
        });
        return application;
    }

    private static async Task AnswerStoppingAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context).ConfigureAwait(false);
        }
        catch (CommandException e) when (e.Code == ExitCode.NotRunning && !context.Response.HasStarted)
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.ContentType = "text/plain";
            await context.Response.WriteAsync(e.Message + "\n", context.RequestAborted).ConfigureAwait(false);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Address} is in use; the metrics page takes another port.")]
    private static partial void LogMoved(ILogger logger, IPEndPoint address);
}
