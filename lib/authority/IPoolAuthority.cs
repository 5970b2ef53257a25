using KvFs.Core;

namespace KvFs.Authority;

/// <summary>Where the pool map lives. It changes only by compare-and-swap, so of two that change the same map one
/// learns of the other.</summary>
/// <remarks>Thread safe. What stands there is a <see cref="PoolMap"/> and its revision is the one that is compared;
/// how the store counts is its own affair. A token that is canceled while a swap is under way leaves it unknown. Source:
/// docs/placement.md#authorities.</remarks>
public interface IPoolAuthority : IAsyncDisposable
{
    /// <summary>Why the store did not answer when it was last asked; null if it did.</summary>
    string? Trouble { get; }

    /// <summary>What stands there, not older than what stood there when it was asked.</summary>
    /// <returns>Ok, with no map if there is none yet; Unavailable; Damaged.</returns>
    Task<AuthorityAnswer> ReadAsync(CancellationToken cancellation);

    /// <summary>Puts a map in the place of the one with the expected revision.</summary>
    /// <param name="expected">Revision of the map that the new one was made of; 0: there is none yet.</param>
    /// <param name="map">The new map; its revision is higher, and it can follow
    /// (<see cref="PoolMapSuccession"/>).</param>
    /// <param name="cancellation">Gives up waiting.</param>
    /// <returns>Ok, with the new map: it stands there, or stood there and was followed by others. Conflict, with what
    /// stands there: it was not put, and never will be. Unavailable: it was not put. Unknown. Damaged.
    /// TooLarge.</returns>
    /// <exception cref="ArgumentException">The new map cannot follow the expected one.</exception>
    Task<AuthorityAnswer> CompareAndSwapAsync(ulong expected, PoolMap map, CancellationToken cancellation);

    /// <summary>All that comes to stand there, from the first map above a revision on, each newer than the one before.
    /// Of maps that follow one another quickly only the last may be seen.</summary>
    /// <remarks>Goes on, however often the store goes away, until it is canceled. One caller per enumeration.</remarks>
    /// <exception cref="AuthorityException">The map is gone, damaged, another pool's, or older than one that was seen:
    /// a person must look at it.</exception>
    IAsyncEnumerable<PoolMap> WatchAsync(ulong after, CancellationToken cancellation);
}
