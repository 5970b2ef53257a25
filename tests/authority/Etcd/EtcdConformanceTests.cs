using KvFs.Authority.Tests.Support;
using KvFs.Core;

namespace KvFs.Authority.Tests.Etcd;

/// <summary>One etcd for all tests of the class; each has its own prefix.</summary>
public sealed class SharedEtcd : IAsyncLifetime
{
    internal EtcdServer Server { get; private set; } = null!;

    public async Task InitializeAsync() => Server = await EtcdServer.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();
}

public sealed class EtcdConformanceTests(SharedEtcd etcd) : AuthorityConformance, IClassFixture<SharedEtcd>
{
    private readonly string prefix = $"/test/{Guid.NewGuid():n}";

    protected override IPoolAuthority Connect() =>
        new EtcdAuthority(new() { Endpoints = [etcd.Server.Endpoint], Prefix = prefix, RequestTime = TestTime.Patience });

    protected override byte[] Stored(PoolMap map) => PoolMapCodec.Encode(map);

    protected override Task PlantAsync(byte[] bytes) => etcd.Server.PutAsync($"{prefix}/map", bytes);

    protected override Task RemoveAsync() => etcd.Server.DeleteAsync($"{prefix}/map");
}
