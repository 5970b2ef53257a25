using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>One of the clients of a drive that follow one another.</summary>
/// <param name="Number">Of the first: 1.</param>
/// <param name="Client">With a session of its own.</param>
public sealed record ClientGeneration(ulong Number, DriveClient Client);

/// <summary>The clients of somebody who has a drive for longer than a session lives: when one's session has expired, the next one has a new session.</summary>
/// <remarks>
/// Thread safe. Owns the clients. What was opened with a client stays with it, and is answered SessionExpired for good once its session is over: what it
/// held and had locked may be somebody else's by then. So nothing is done under another session than the one under which it was asked for, and what one
/// kept nobody sees under the next: a client follows when the one before has dropped everything (<see cref="IDriveSession.Expired"/>).
/// <para>Only for sessions that share their drive. One that has it alone may hold data that it has answered for: to go on as if nothing had been would hide
/// that this is lost.</para>
/// Source: docs/design.md, section 8.
/// </remarks>
public sealed class SuccessiveClients : IAsyncDisposable
{
    private static readonly TimeSpan s_askPause = TimeSpan.FromMilliseconds(10);

    private static readonly TimeSpan s_minPause = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan s_maxPause = TimeSpan.FromSeconds(2);

    private readonly ISessionSource? source;
    private readonly Func<IDriveSession, DriveClient> make;
    private readonly TimeProvider clock;
    private readonly DriveId drive;
    private readonly Lock gate = new();
    private readonly Signal changed = new();
    private readonly CancellationTokenSource stopping = new();
    private readonly TaskCompletionSource completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task run;

    /// <summary>Clients of sessions that are over, with files that are open.</summary>
    private readonly HashSet<DriveClient> past = [];

    private ClientGeneration current;

    /// <summary>Why there is no next client for now; Ok: it is being waited for, or not needed.</summary>
    private Status refusal;

    /// <param name="first">The session of the first client.</param>
    /// <param name="source">Where the others come from; null: there are none.</param>
    /// <param name="make">Makes a client, which owns its session.</param>
    /// <param name="clock">Of the pauses between attempts.</param>
    public SuccessiveClients(IDriveSession first, ISessionSource? source, Func<IDriveSession, DriveClient> make, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(make);
        this.source = source;
        this.make = make;
        this.clock = clock;
        drive = first.Drive;
        current = new(1, Make(first));
        run = source is null ? Task.CompletedTask : RunAsync(source);
    }

    /// <summary>Whose session is open, or was last.</summary>
    public ClientGeneration Current => Volatile.Read(ref current);

    /// <summary>Fails when one of the clients meets a bug (<see cref="DriveClient.Completion"/>), ends with the last one.</summary>
    public Task Completion => completion.Task;

    /// <summary>Waits until what was answered SessionExpired can be asked again, of the client that is the current one then: it may be that again.
    /// </summary>
    /// <returns>Ok. SessionExpired: there is no session for now, or who waits has given up. Stale: the drive is gone.</returns>
    public async ValueTask<Status> WaitAsync(CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                Task next;
                lock (gate)
                {
                    if (source is null || stopping.IsCancellationRequested) { return Status.SessionExpired; }
                    if (!current.Client.Session.Expired.IsCompleted) { break; }
                    if (refusal != Status.Ok) { return refusal; }
                    next = changed.WaitAsync();
                }

                await next.WaitAsync(cancellation);
            }

            // Its session may be over, and not be known to be yet.
            await Task.Delay(s_askPause, clock, cancellation);
            return Status.Ok;
        }
        catch (OperationCanceledException)
        {
            return Status.SessionExpired;
        }
    }

    /// <summary>Ends a client of a session that is over if none of its files is open any more. Call it after each was closed.</summary>
    public async ValueTask LetGoAsync(DriveClient client)
    {
        ArgumentNullException.ThrowIfNull(client);
        lock (gate)
        {
            if (client.OpenFiles > 0 || !past.Remove(client)) { return; }
        }

        await client.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await run;
        DriveClient[] left;
        lock (gate)
        {
            left = [.. past, current.Client];
            past.Clear();
            changed.Raise();
        }

        foreach (DriveClient client in left) { await client.DisposeAsync(); }
        completion.TrySetResult();
        stopping.Dispose();
    }

    private DriveClient Make(IDriveSession session)
    {
        DriveClient client = make(session);
        _ = WatchAsync(client);
        return client;
    }

    private async Task WatchAsync(DriveClient client)
    {
        try
        {
            await client.Completion;
        }
        catch (Exception e)
        {
            completion.TrySetException(e);
        }
    }

    private async Task RunAsync(ISessionSource from)
    {
        try
        {
            while (true)
            {
                DriveClient over = Current.Client;
                await over.Session.Expired.WaitAsync(stopping.Token);
                from.OnExpired(over.OpenFiles);
                if (await OpenAsync(from) is not { } session) { return; }
                lock (gate)
                {
                    past.Add(over);
                    current = new(current.Number + 1, Make(session));
                    Refuse(Status.Ok);
                }

                from.OnOpened();
                await LetGoAsync(over);
            }
        }
        catch (OperationCanceledException)
        {
            // Nobody needs another one.
        }
        catch (Exception e)
        {
            lock (gate) { Refuse(Status.SessionExpired); }
            completion.TrySetException(e);
        }
    }

    /// <summary>Opens a session with the same drive, however long it takes. Null: it is gone.</summary>
    private async ValueTask<IDriveSession?> OpenAsync(ISessionSource from)
    {
        Pauses pauses = new(s_minPause, s_maxPause, clock);
        Status told = Status.Ok;
        while (true)
        {
            Reply<IDriveSession> opened = await from.OpenAsync(stopping.Token);
            bool isOther = opened.IsOk && opened.Value.Drive != drive;
            if (opened.IsOk && !isOther) { return opened.Value; }
            if (isOther) { await opened.Value.DisposeAsync(); }

            // Another drive under the same name is not the one whose VNodes the user knows.
            bool isGone = isOther || opened.Status == Status.NotFound;
            bool isAway = opened.Status is Status.Busy or Status.Unavailable or Status.Unknown or Status.TimedOut;
            lock (gate) { Refuse(isGone ? Status.Stale : isAway ? Status.Ok : Status.SessionExpired); }
            Status why = isGone ? Status.Stale : isAway ? Status.Ok : opened.Status;
            if (why != told && why != Status.Ok) { from.OnRefused(why); }
            told = why;
            if (isGone) { return null; }
            await pauses.NextAsync(stopping.Token);
        }
    }

    /// <summary>Those who wait hear why they wait in vain, or that they do not. Under the gate.</summary>
    private void Refuse(Status why)
    {
        refusal = why;
        changed.Raise();
    }
}
