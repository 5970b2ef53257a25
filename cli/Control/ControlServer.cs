using KvFs.Cli.CommandLine;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Control;

/// <summary>Serves the control channel: HTTP with JSON on the data folder's Unix socket.</summary>
/// <remarks>Whoever connects has the rights of the process, so the socket's mode is the guard; the bounds here only keep a
/// broken client from costing more than its own connection.</remarks>
internal sealed class ControlServer : IAsyncDisposable
{
    /// <summary>Bytes of a request's body: names and a path fit ten times.</summary>
    public const int MaxBodyBytes = 64 << 10;

    /// <summary>Bytes of a request's first line: three names of 253 letters, escaped.</summary>
    private const int MaxLineBytes = 8 << 10;

    /// <summary>Bytes of a request's headers: our client sends 200.</summary>
    private const int MaxHeaderBytes = 8 << 10;

    /// <summary>Commands at once: a person has few, a script some.</summary>
    private const int MaxConnections = 64;

    /// <summary>A connection that says nothing for so long is closed.</summary>
    private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(30);

    private readonly ControlSocket socket;
    private readonly WebApplication application;

    private ControlServer(ControlSocket socket, WebApplication application)
    {
        this.socket = socket;
        this.application = application;
    }

    /// <summary>Listens, and is found by commands when this returns.</summary>
    /// <exception cref="IOException">The socket cannot be made in the data folder.</exception>
    public static async Task<ControlServer> StartAsync(
        string dataPath, ControlRoutes routes, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        ControlSocket socket = ControlSocket.ToServe(dataPath);
        WebApplication? application = null;
        try
        {
            application = Build(socket, routes, loggers);
            await application.StartAsync(cancellationToken).ConfigureAwait(false);
            socket.Publish();
            return new ControlServer(socket, application);
        }
        catch
        {
            if (application is not null) { await application.DisposeAsync().ConfigureAwait(false); }
            socket.Dispose();
            throw;
        }
    }

    /// <summary>New commands find nobody; the requests under way go on.</summary>
    public void Withdraw() => socket.Withdraw();

    /// <summary>Ends the requests under way and stops listening.</summary>
    public async ValueTask DisposeAsync()
    {
        await application.StopAsync(CancellationToken.None).ConfigureAwait(false);
        await application.DisposeAsync().ConfigureAwait(false);
        socket.Dispose();
    }

    private static WebApplication Build(ControlSocket socket, ControlRoutes routes, ILoggerFactory loggers)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(loggers);
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.Limits.MaxRequestBodySize = MaxBodyBytes;
            options.Limits.MaxRequestLineSize = MaxLineBytes;
            options.Limits.MaxRequestHeadersTotalSize = MaxHeaderBytes;
            options.Limits.MaxConcurrentConnections = MaxConnections;
            options.Limits.KeepAliveTimeout = IdleTime;
            options.Limits.RequestHeadersTimeout = IdleTime;
            options.Listen(socket.EndPoint, listen => listen.Protocols = HttpProtocols.Http1);
        });
        builder.Services.Configure<SocketTransportOptions>(options =>
            options.CreateBoundListenSocket = _ => socket.Bind());
        WebApplication application = builder.Build();
        application.Use(AnswerErrorsAsync);
        application.UseRouting();
        routes.MapInto(application);
        application.MapFallback(context => throw new CommandException(
            ExitCode.Usage, $"There is nothing at {context.Request.Method} {context.Request.Path}.",
            "The kvfs that runs may be of another version: compare with `kvfs status`."));
        return application;
    }

    /// <summary>Turns what a handler throws into an answer that the client can throw again.</summary>
    private static async Task AnswerErrorsAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is gone; nobody reads an answer.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            ControlError error = ControlErrors.From(e, context.RequestServices.GetRequiredService<ILoggerFactory>());
            context.Response.StatusCode = e is Microsoft.AspNetCore.Http.BadHttpRequestException bad ? bad.StatusCode : ControlErrors.HttpStatus(error.Code);
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(ControlErrors.Serialize(error), context.RequestAborted).ConfigureAwait(false);
        }
    }
}
