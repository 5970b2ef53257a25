namespace KvFs.Client.Remote;

/// <summary>Pauses between attempts: each twice as long as the one before, up to a bound.</summary>
internal sealed class Pauses(TimeSpan first, TimeSpan longest, TimeProvider clock)
{
    private TimeSpan next = first;

    public Pauses(RemoteClientOptions options)
        : this(options.MinPause, options.MaxPause, options.Clock)
    {
    }

    public Task NextAsync(CancellationToken cancellation) => NextAsync(longest, cancellation);

    /// <param name="most">The bound this time.</param>
    /// <param name="cancellation">Ends the pause.</param>
    public Task NextAsync(TimeSpan most, CancellationToken cancellation)
    {
        TimeSpan pause = next < most ? next : most;
        next = 2 * pause;
        return Task.Delay(pause, clock, cancellation);
    }
}
