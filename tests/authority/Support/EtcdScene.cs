namespace KvFs.Authority.Tests.Support;

/// <summary>One etcd, a client that reaches it directly, and one behind a wire that can break.</summary>
internal sealed class EtcdScene : IAsyncDisposable
{
    private EtcdScene(EtcdServer server)
    {
        Server = server;
        Wire = new(server.Endpoint);
        Direct = new(new() { Endpoints = [server.Endpoint], RequestTime = TestTime.Patience });
        Wired = new(new()
        {
            Endpoints = [Wire.Endpoint],
            RequestTime = TestTime.Patience,
            QuietTime = TimeSpan.FromMilliseconds(500),
        });
    }

    internal EtcdServer Server { get; }

    internal FaultyWire Wire { get; }

    internal EtcdAuthority Direct { get; }

    internal EtcdAuthority Wired { get; }

    internal static async Task<EtcdScene> StartAsync() => new(await EtcdServer.StartAsync());

    public async ValueTask DisposeAsync()
    {
        await Wired.DisposeAsync();
        await Direct.DisposeAsync();
        await Wire.DisposeAsync();
        await Server.DisposeAsync();
    }
}
