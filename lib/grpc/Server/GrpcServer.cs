using System.Net;
using System.Net.Sockets;
using KvFs.Grpc.Authority;
using KvFs.Grpc.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KvFs.Grpc;

/// <summary>A gRPC server: Kestrel with HTTP/2 only, and nothing else of ASP.NET's pipeline.</summary>
/// <remarks>Start it once, stop it once. It reads no configuration, environment or signals.</remarks>
public sealed class GrpcServer : IAsyncDisposable
{
    /// <summary>After the drain time, calls that were cancelled have so long to send their status.</summary>
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(2);

    /// <summary>The largest frame that a client may send: a frame is buffered whole.</summary>
    private const int MaxFrameBytes = 1 << 20;

    private readonly GrpcServerOptions options;
    private readonly GrpcDispatcher dispatcher;
    private readonly WebApplication application;
    private readonly List<ListenOptions> listeners = [];
    private readonly List<UnixSocketFile> sockets = [];
    private bool stopped;

    /// <param name="services">What it answers.</param>
    /// <param name="options">Where and how.</param>
    /// <param name="loggers">Gets what Kestrel and the dispatcher have to say.</param>
    public GrpcServer(GrpcServices services, GrpcServerOptions options, ILoggerFactory loggers)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfZero(options.Endpoints.Count);
        // Kestrel adds an infinite time to its clock without a check, and then closes connections within a second.
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(options.IdleTime, TimeSpan.Zero, nameof(options.IdleTime));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.IdleTime, TimeSpan.FromDays(365), nameof(options.IdleTime));
        this.options = options;
        dispatcher = new GrpcDispatcher(services, options.CallLimits, options.Admit, loggers.CreateLogger<GrpcDispatcher>());
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton<IHostLifetime, NoSignals>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = Timeout.InfiniteTimeSpan);
        builder.Services.Configure<SocketTransportOptions>(sockets => sockets.CreateBoundListenSocket = BindSocket);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(Configure);
        application = builder.Build();
        ((IApplicationBuilder)application).Run(dispatcher.InvokeAsync);
    }

    /// <summary>The addresses that it listens on, in the order of the options. Valid after the start.</summary>
    public IReadOnlyList<EndPoint> Bound => [.. listeners.Select(listener => listener.EndPoint)];

    /// <summary>Binds and listens on all endpoints, or on none.</summary>
    /// <exception cref="IOException">An address is taken, or a socket file cannot be made.</exception>
    public async Task StartAsync(CancellationToken cancellation)
    {
        try
        {
            await application.StartAsync(cancellation).ConfigureAwait(false);
        }
        catch
        {
            foreach (UnixSocketFile socket in sockets) { socket.Withdraw(); }
            throw;
        }
    }

    /// <summary>Takes no new calls, lets those that run go on for the drain time, then cancels them. Ends soon after that in
    /// any case.</summary>
    public async Task StopAsync()
    {
        if (stopped) { return; }
        stopped = true;
        foreach (UnixSocketFile socket in sockets) { socket.Withdraw(); }
        dispatcher.BeginDrain();
        using CancellationTokenSource abort = new();
        Task stopping = application.StopAsync(abort.Token);
        if (!await EndsWithinAsync(stopping, options.DrainTime).ConfigureAwait(false))
        {
            dispatcher.EndCalls();
            if (!await EndsWithinAsync(stopping, LastWords).ConfigureAwait(false)) { await abort.CancelAsync().ConfigureAwait(false); }
        }
        await stopping.ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        await application.DisposeAsync().ConfigureAwait(false);
        dispatcher.Dispose();
    }

    private static async Task<bool> EndsWithinAsync(Task task, TimeSpan time)
    {
        using CancellationTokenSource done = new();
        bool ended = await Task.WhenAny(task, Task.Delay(time, done.Token)).ConfigureAwait(false) == task;
        await done.CancelAsync().ConfigureAwait(false);
        return ended;
    }

    private void Configure(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        KestrelServerLimits limits = kestrel.Limits;
        limits.MaxConcurrentConnections = options.MaxConnections;
        limits.MaxRequestBodySize = null;  // A stream has no length; messages have.
        limits.MinRequestBodyDataRate = null;  // A stream may be silent for days.
        limits.MinResponseDataRate = null;
        limits.KeepAliveTimeout = options.IdleTime;
        limits.Http2.MaxStreamsPerConnection = options.MaxCallsPerConnection;
        limits.Http2.InitialStreamWindowSize = options.StreamWindowBytes;
        limits.Http2.InitialConnectionWindowSize = options.ConnectionWindowBytes;
        limits.Http2.MaxFrameSize = MaxFrameBytes;
        limits.Http2.KeepAlivePingDelay = options.KeepAlivePingDelay;
        limits.Http2.KeepAlivePingTimeout = options.KeepAlivePingTimeout;
        foreach (GrpcEndpoint endpoint in options.Endpoints)
        {
            kestrel.Listen(endpoint.Address, listener => Configure(listener, endpoint));
        }
    }

    private void Configure(ListenOptions listener, GrpcEndpoint endpoint)
    {
        listeners.Add(listener);
        listener.Protocols = HttpProtocols.Http2;
        endpoint.Tls?.Apply(listener);
        if (endpoint.Address is UnixDomainSocketEndPoint) { listener.UseAuthorityRepair(); }
    }

    private Socket BindSocket(EndPoint address)
    {
        if (address is not UnixDomainSocketEndPoint) { return SocketTransportOptions.CreateDefaultBoundListenSocket(address); }
        GrpcEndpoint endpoint = options.Endpoints.First(each => each.Address.Equals(address));
        UnixSocketFile file = new(address.ToString()!, endpoint.Mode);
        Socket socket = file.Listen();
        sockets.Add(file);
        return socket;
    }

    /// <summary>Signals are the program's business.</summary>
    private sealed class NoSignals : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
