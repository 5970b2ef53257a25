namespace KvFs.Client.Remote;

/// <summary>Pauses between attempts: each twice as long as the one before, up to a bound.</summary>
internal sealed class Pauses(RemoteClientOptions options)
{
    private TimeSpan next = options.MinPause;

    public Task NextAsync(CancellationToken cancellation)
    {
        TimeSpan pause = next;
        next = TimeSpan.FromTicks(Math.Min(2 * pause.Ticks, options.MaxPause.Ticks));
        return Task.Delay(pause, options.Clock, cancellation);
    }
}
