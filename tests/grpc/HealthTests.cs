using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Grpc.Tests;

public sealed class HealthTests
{
    [Fact]
    public async Task Check_says_how_a_service_is_and_does_not_know_others()
    {
        await using Setup setup = await Setup.StartAsync();
        HealthService health = setup.Health;
        health.Set(string.Empty, ServingStatus.Serving);
        health.Set("kvfs.Drive", ServingStatus.NotServing);
        Assert.Equal(ServingStatus.Serving, await setup.CheckAsync(string.Empty));
        Assert.Equal(ServingStatus.NotServing, await setup.CheckAsync("kvfs.Drive"));
        GrpcException unknown = await Assert.ThrowsAsync<GrpcException>(() => setup.CheckAsync("other"));
        Assert.Equal(GrpcStatusCode.NotFound, unknown.Code);
        health.Set("kvfs.Drive", ServingStatus.Unknown);
        Assert.Equal(ServingStatus.Unknown, await setup.CheckAsync("kvfs.Drive"));
    }

    [Fact]
    public async Task Watch_tells_each_change_and_ends_when_the_server_stops()
    {
        await using Setup setup = await Setup.StartAsync();
        HealthService health = setup.Health;
        using var watch = setup.Channel.ServerStreaming(HealthMethods.Watch, "kvfs.Drive", GrpcCallOptions.None, CancellationToken.None);
        Assert.Equal(ServingStatus.ServiceUnknown, await NextAsync(watch));
        health.Set("kvfs.Drive", ServingStatus.Serving);
        Assert.Equal(ServingStatus.Serving, await NextAsync(watch));
        health.Set("kvfs.Drive", ServingStatus.Serving);
        health.Set("kvfs.Drive", ServingStatus.NotServing);
        Assert.Equal(ServingStatus.NotServing, await NextAsync(watch));
        Task stopping = setup.Server.StopAsync();
        GrpcException over = await Assert.ThrowsAsync<GrpcException>(() => NextAsync(watch));
        Assert.Equal(GrpcStatusCode.Unavailable, over.Code);
        await stopping;
    }

    private static async Task<ServingStatus> NextAsync(GrpcCall<string, ServingStatus> watch)
    {
        Assert.True(await watch.WaitToReadAsync());
        Assert.True(watch.TryRead(out ServingStatus status));
        return status;
    }

    private sealed class Setup : IAsyncDisposable
    {
        private readonly string folder = Directory.CreateTempSubdirectory("kvfs-grpc-").FullName;

        private Setup()
        {
            GrpcServices services = new();
            Health.AddTo(services);
            string path = Path.Combine(folder, "s");
            Server = new GrpcServer(
                services,
                new GrpcServerOptions { Endpoints = [GrpcEndpoint.UnixSocket(path, GrpcEndpoint.OwnerOnly)] },
                NullLoggerFactory.Instance);
            Channel = new GrpcChannel(GrpcTarget.UnixSocket(path), new GrpcChannelOptions());
        }

        public HealthService Health { get; } = new();

        public GrpcServer Server { get; }

        public GrpcChannel Channel { get; }

        public static async Task<Setup> StartAsync()
        {
            Setup setup = new();
            await setup.Server.StartAsync(CancellationToken.None);
            return setup;
        }

        public Task<ServingStatus> CheckAsync(string service) =>
            Channel.UnaryAsync(HealthMethods.Check, service, GrpcCallOptions.None, CancellationToken.None).AsTask();

        public async ValueTask DisposeAsync()
        {
            Channel.Dispose();
            await Server.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }
}
