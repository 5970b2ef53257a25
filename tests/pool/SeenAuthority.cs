using KvFs.Authority;
using KvFs.Core;

namespace KvFs.Pool.Tests;

/// <summary>An authority whose swaps a test sees before they are made.</summary>
internal sealed class SeenAuthority(IPoolAuthority inner) : IPoolAuthority
{
    /// <summary>Gets each map that is about to be put.</summary>
    public Action<PoolMap>? Swapping { get; set; }

    public string? Trouble => inner.Trouble;

    public Task<AuthorityAnswer> ReadAsync(CancellationToken cancellation) => inner.ReadAsync(cancellation);

    public Task<AuthorityAnswer> CompareAndSwapAsync(ulong expected, PoolMap map, CancellationToken cancellation)
    {
        Swapping?.Invoke(map);
        return inner.CompareAndSwapAsync(expected, map, cancellation);
    }

    public IAsyncEnumerable<PoolMap> WatchAsync(ulong after, CancellationToken cancellation) => inner.WatchAsync(after, cancellation);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
