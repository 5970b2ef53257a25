namespace KvFs.Client.Remote;

/// <summary>Pauses between attempts: each twice as long as the one before, up to a bound.</summary>
internal sealed class Pauses(RemoteClientOptions options)
{
    private TimeSpan next = options.MinPause;

    public Task NextAsync(CancellationToken cancellation) => NextAsync(options.MaxPause, cancellation);

    /// <param name="most">The bound this time.</param>
    /// <param name="cancellation">Ends the pause.</param>
    public Task NextAsync(TimeSpan most, CancellationToken cancellation)
    {
        TimeSpan pause = next < most ? next : most;
        next = 2 * pause;
        return Task.Delay(pause, options.Clock, cancellation);
    }
}
