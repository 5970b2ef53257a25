using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>Makes the streams of one session: the first one opens it, the others resume it, wherever it is served then.</summary>
internal sealed class SessionDialler(ISessionRoute route, RemoteClientOptions options)
{
    /// <summary>After so many leases of trying without a word from the primary, the session has expired there.</summary>
    private const int LeasesUntilLost = 2;

    private static readonly GrpcCallOptions s_call = new() { Limits = WireLimits.OfClient };

    private LeaseClock lease = new(TimeSpan.Zero, options.Clock);

    /// <summary>The primary has answered within the lease: nobody else can have been given the drive.</summary>
    public bool HoldsLease => !Volatile.Read(ref lease).HasPassed(1);

    /// <summary>Others can say where the session goes on.</summary>
    public bool CanMove => route.ResumeTime is not null;

    /// <summary>The session; null before it is open.</summary>
    public V1.SessionKey? Key { get; private set; }

    /// <summary>As <see cref="SessionConnection.Spread"/>, once it is open.</summary>
    public int Spread { get; private set; }

    /// <summary>Opens the session at a node. The status, and the stream if it is Ok.</summary>
    public async ValueTask<(Status Status, ClientStream? Stream)> OpenAsync(
        GrpcChannel channel, V1.OpenSession open, CancellationToken cancellation)
    {
        try
        {
            return await DialAsync(channel, new() { Open = open }, options.OpenTime, cancellation);
        }
        catch (GrpcException e)
        {
            // What may have been opened and not been answered expires unused.
            return (CallFailure.ToStatus(e, changes: false), null);
        }
    }

    /// <summary>Whether the session goes on elsewhere than where a channel leads, as far as anybody says.</summary>
    public async Task<bool> HasMovedAsync(GrpcChannel from, CancellationToken cancellation) =>
        await route.FindAsync(DriveId.Read(Key!.Drive.Span), cancellation) is { } to && to != from;

    /// <summary>Resumes the session, trying again until it is lost. Null: it is.</summary>
    /// <param name="isHurried">Nobody needs the session any more: two leases are enough.</param>
    public async ValueTask<ClientStream?> ResumeAsync(Func<bool> isHurried)
    {
        DriveId drive = DriveId.Read(Key!.Drive.Span);
        Pauses pauses = new(options);
        long began = options.AwakeClock.GetTimestamp();
        while (!HasTriedFor(LeasesUntilLost * lease.Length) || (!isHurried() && route.ResumeTime is { } time && !HasTriedFor(time)))
        {
            try
            {
                if (await route.FindAsync(drive, CancellationToken.None) is { } channel)
                {
                    TimeSpan limit = !CanMove || lease.Length < options.LookTime ? lease.Length : options.LookTime;
                    (Status status, ClientStream? stream) = await DialUnlessMovedAsync(channel, limit);
                    if (status == Status.Ok) { return stream; }
                    if (status == Status.SessionExpired) { return null; }
                }
            }
            catch (GrpcException)
            {
                // The primary cannot be reached: perhaps in a moment.
            }

            await pauses.NextAsync(lease.HasPassed(LeasesUntilLost) ? options.MaxPause : options.MaxPauseAtFirst, CancellationToken.None);
        }

        return null;

        // Not counted from the last word of the primary: that may be long ago for who was asleep, and the primary may have been, too.
        bool HasTriedFor(TimeSpan time) => options.AwakeClock.GetElapsedTime(began) > time;
    }

    /// <summary>Resumes at a node, which may swallow all that is sent to it: others are asked meanwhile whether it still is the one.
    /// </summary>
    private async ValueTask<(Status Status, ClientStream? Stream)> DialUnlessMovedAsync(GrpcChannel channel, TimeSpan limit)
    {
        using CancellationTokenSource moved = new();
        Task watching = CanMove ? WatchAsync(channel, moved) : Task.CompletedTask;
        try
        {
            return await DialAsync(channel, new() { Resume = Key }, limit, moved.Token);
        }
        catch (OperationCanceledException)
        {
            return (Status.StaleEpoch, null);
        }
        finally
        {
            await moved.CancelAsync();
            await watching;
        }
    }

    /// <summary>Cancels when the session goes on elsewhere than where a channel leads.</summary>
    private async Task WatchAsync(GrpcChannel from, CancellationTokenSource moved)
    {
        try
        {
            using PeriodicTimer timer = new(options.LookPause, options.Clock);
            while (await timer.WaitForNextTickAsync(moved.Token))
            {
                if (!await HasMovedAsync(from, moved.Token)) { continue; }
                await moved.CancelAsync();
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // The dial has come to its end.
        }
    }

    private async ValueTask<(Status Status, ClientStream? Stream)> DialAsync(
        GrpcChannel channel, V1.ClientMessage first, TimeSpan time, CancellationToken cancellation)
    {
        CancellationTokenSource ending = new();
        GrpcCall<V1.ClientMessage, V1.ServerMessage>? call = null;
        bool isKept = false;
        try
        {
            using CancellationTokenSource late = new(time, options.Clock);
            using CancellationTokenRegistration end = late.Token.UnsafeRegister(Cancel, ending);
            using CancellationTokenRegistration given = cancellation.UnsafeRegister(Cancel, ending);
            long askedAt = options.Clock.GetTimestamp();
            call = channel.Start(DriveMethods.Session, s_call, ending.Token);
            await call.Requests!.WriteAsync(first, ending.Token);
            if (!await call.WaitToReadAsync() || !call.TryRead(out V1.ServerMessage message)
                || message.BodyCase != V1.ServerMessage.BodyOneofCase.Opened)
            {
                return (Status.NotSupported, null);
            }

            V1.Opened opened = message.Opened;
            if (opened.Status != V1.Status.Ok) { return (opened.Status.ToCore(), null); }
            if (opened.Key is null || opened.Key.Drive.Length != DriveId.Size || opened.LeaseMs == 0)
            {
                return (Status.NotSupported, null);
            }

            Key = opened.Key;
            Spread = (int)Math.Min(opened.Spread, ShardOfBlock.MaxSpread);
            lease = new(TimeSpan.FromMilliseconds(opened.LeaseMs), options.Clock);
            lease.Confirm(askedAt);
            DirectStream? direct = opened.Direct is { } offer
                ? await DirectDial.TryConnectAsync(channel.Target, offer.ToCore(), WireDirect.MessageBytes, ending.Token)
                : null;
            isKept = true;
            return (Status.Ok, new(call, ending, lease) { Via = channel, WantsHoldings = opened.WantsHoldings, Direct = direct });
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new GrpcException(new GrpcStatus(GrpcStatusCode.DeadlineExceeded, "the time was up"), [], e);
        }
        finally
        {
            if (!isKept)
            {
                call?.Dispose();
                ending.Dispose();
            }
        }

        static void Cancel(object? source) => ((CancellationTokenSource)source!).Cancel();
    }
}

/// <summary>How long a session's lease lasts, as far as its client can know.</summary>
/// <remarks>Thread safe. Counted from when something was sent that the primary has answered: it cannot have expired earlier than
/// that and the lease.</remarks>
internal sealed class LeaseClock(TimeSpan length, TimeProvider clock)
{
    private long confirmedAt = clock.GetTimestamp();

    public TimeSpan Length => length;

    public TimeProvider Clock => clock;

    public void Confirm(long sentAt) => Volatile.Write(ref confirmedAt, sentAt);

    public bool HasPassed(int times) => HasPassed(length * times);

    /// <summary>Whether the primary has answered nothing for so long.</summary>
    public bool HasPassed(TimeSpan time) => clock.GetElapsedTime(Volatile.Read(ref confirmedAt)) > time;
}
