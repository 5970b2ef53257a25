using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Hosting;

/// <summary>Counts the requests that use the node, so that it is closed behind the last of them.</summary>
/// <remarks>Thread safe.</remarks>
internal sealed class RequestGate : IDisposable
{
    private readonly Lock changes = new();
    private readonly CancellationTokenSource closing = new();
    private readonly TaskCompletionSource left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int inside;
    private bool isClosed;

    /// <summary>Runs a request, unless the gate is closed.</summary>
    /// <param name="request">Is given a token that the closing cancels, too.</param>
    /// <param name="cancel">The caller's.</param>
    /// <exception cref="CommandException">The gate is closed, or was closed before the request was done.</exception>
    public async Task<T> RunAsync<T>(Func<CancellationToken, Task<T>> request, CancellationToken cancel)
    {
        lock (changes)
        {
            if (isClosed) { throw Closed(); }
            inside++;
        }
        try
        {
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancel, closing.Token);
            return await request(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (closing.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw Closed();
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Lets nobody in any more, tells those inside to hurry, and waits for the last. May be called again.</summary>
    public async Task CloseAsync()
    {
        lock (changes)
        {
            isClosed = true;
            if (inside == 0) { left.TrySetResult(); }
        }
        await closing.CancelAsync().ConfigureAwait(false);
        await left.Task.ConfigureAwait(false);
    }

    public void Dispose() => closing.Dispose();

    /// <summary>The refusal of what comes too late.</summary>
    public static CommandException Closed() => new(ExitCode.NotRunning, "This kvfs is just stopping.");

    private void Leave()
    {
        lock (changes)
        {
            inside--;
            if (isClosed && inside == 0) { left.TrySetResult(); }
        }
    }
}
