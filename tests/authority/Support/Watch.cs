using KvFs.Core;

namespace KvFs.Authority.Tests.Support;

/// <summary>One watch, map by map. A test that ends while it waits for a map gives it up, so that what is told is why it ended.</summary>
internal sealed class Watch : IAsyncDisposable
{
    private readonly CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(TestTime.Limit());
    private readonly IAsyncEnumerator<PoolMap> maps;
    private Task last = Task.CompletedTask;

    internal Watch(IPoolAuthority authority, ulong after) => maps = authority.WatchAsync(after, over.Token).GetAsyncEnumerator();

    /// <summary>The next map, as soon as there is one.</summary>
    internal Task<PoolMap> NextAsync()
    {
        Task<PoolMap> next = MoveAsync();
        last = next;
        return next;
    }

    public async ValueTask DisposeAsync()
    {
        await over.CancelAsync();
        await last.ContinueWith(static _ => { }, TaskScheduler.Default);
        await maps.DisposeAsync();
        over.Dispose();
    }

    private async Task<PoolMap> MoveAsync()
    {
        Assert.True(await maps.MoveNextAsync());
        return maps.Current;
    }
}
