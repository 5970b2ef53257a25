namespace KvFs.Cli.Hosting;

/// <summary>Closes the node behind the last request that uses it, and gives up when it takes too long: on a disk that does not
/// answer, a request, the last sync and the background's steps may wait for ever.</summary>
/// <param name="requests">What uses the node.</param>
/// <param name="close">Closes the node; may block its thread.</param>
internal sealed class NodeClosing(RequestGate requests, Func<ValueTask> close)
{
    /// <summary>How long a stop waits for the node, polite or forced: what a service manager grants at the least, less what
    /// unmounting may need. A node on a disk that answers closes within seconds.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    /// <summary>Closes the node, within a limit.</summary>
    /// <returns>Null once it is closed; else what was given up, a sentence for people.</returns>
    public async Task<string?> RunAsync(TimeSpan limit, TimeProvider clock)
    {
        Task left = requests.CloseAsync();

        // Not on the caller's thread, which a stuck disk would hold.
        Task closed = Task.Run(async () =>
        {
            await left.ConfigureAwait(false);
            await close().ConfigureAwait(false);
        });
        try
        {
            await closed.WaitAsync(limit, clock).ConfigureAwait(false);
            return null;
        }
        catch (TimeoutException)
        {
            if (closed.IsCompleted)
            {
                await closed.ConfigureAwait(false);
                return null;
            }

            string what = left.IsCompleted
                ? "its background work and the last sync of its log were abandoned"
                : "requests that still used it, its background work and the last sync of its log were abandoned";
            return $"The node was not closed within {limit.TotalSeconds} seconds, because the disk does not answer: {what}. "
                + "What was fsynced is safe.";
        }
    }
}
