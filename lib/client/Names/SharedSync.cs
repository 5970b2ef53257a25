using KvFs.Core;

namespace KvFs.Client;

/// <summary>Asks for one sync for all who want one while the one before is on its way.</summary>
/// <remarks>Thread safe. Whoever asks gets one that began after that: what was answered to it before is durable then.</remarks>
internal sealed class SharedSync(Func<ValueTask<Status>> sync)
{
    private readonly Lock gate = new();
    private Task<Status>? running;
    private Task<Status>? next;

    public Task<Status> SyncAsync()
    {
        lock (gate)
        {
            if (running is not { IsCompleted: false }) { return running = RunAsync(); }
            return next ??= FollowAsync(running);
        }
    }

    private async Task<Status> FollowAsync(Task<Status> before)
    {
        await ((Task)before).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Task<Status> own;
        lock (gate)
        {
            own = running = RunAsync();
            next = null;
        }

        return await own;
    }

    private async Task<Status> RunAsync() => await sync();
}
