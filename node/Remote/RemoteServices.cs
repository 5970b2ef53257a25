using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Node.Drives;
using KvFs.Node.Sessions;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>Serves a node's drives to clients in other processes: the services of drive.proto, block.proto and admin.proto.</summary>
/// <remarks>
/// Thread safe. Who composes it gives the server <see cref="WireLimits.OfServer"/>, stops it before this, and this before the
/// node. A session whose client is silent for longer than the lease is ended within a tenth of the lease; one that the server
/// itself was too busy to hear, which shows in the ticks, is not blamed on its client.
/// </remarks>
public sealed partial class RemoteServices : IAsyncDisposable
{
    /// <summary>Ticks within one lease.</summary>
    private const int TicksPerLease = 10;

    /// <summary>How long a client that resumes its session is kept waiting for its drive: less than it waits for an answer.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);

    private readonly ConcurrentDictionary<(DriveId Drive, SessionId Session), RemoteSession> sessions = new();
    private readonly StorageNode node;
    private readonly RemoteOptions options;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly RequestThreads threads;
    private readonly RequestThreads owed;
    private readonly CopyReads copies;
    private readonly ITimer timer;
    private TaskCompletionSource moved = NewSignal();
    private readonly Lock ticking = new();
    private long tickedAt;
    private bool stopped;

    public RemoteServices(StorageNode node, RemoteOptions options, TimeProvider clock, ILoggerFactory loggers)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(clock);
        ArgumentNullException.ThrowIfNull(node);
        this.node = node;
        this.options = options;
        this.clock = clock;
        logger = loggers.CreateLogger<RemoteServices>();
        threads = new(options.Threads);
        owed = new(options.Threads);
        copies = new(node, options.FindSession ?? FindOwnSession, threads, options.Direct, options.Lease, clock);
        tickedAt = clock.GetTimestamp();
        node.Host.Adopted = Adopt;
        node.Host.Moved = () => Interlocked.Exchange(ref moved, NewSignal()).SetResult();
        TimeSpan period = options.Lease / TicksPerLease;
        timer = clock.CreateTimer(static state => ((RemoteServices)state!).Tick(), this, period, period);
    }

    /// <summary>Where clients may connect directly.</summary>
    internal DirectListener? Direct => options.Direct;

    /// <summary>Sessions of clients in other processes.</summary>
    public int SessionCount => sessions.Count;

    /// <summary>Adds the methods to those of a server that has not started.</summary>
    public void AddTo(GrpcServices services)
    {
        ArgumentNullException.ThrowIfNull(services);
        new DriveService(this).AddTo(services);
        new BlockService(this, threads, copies).AddTo(services);
        new AdminService(node.LocalAdmin, threads).AddTo(services);
    }

    /// <summary>Ends what has expired.</summary>
    internal void Tick()
    {
        lock (ticking)
        {
            long now = clock.GetTimestamp();
            bool stoodStill = clock.GetElapsedTime(tickedAt, now) > options.Lease / 2;
            tickedAt = now;
            foreach (RemoteSession session in sessions.Values)
            {
                if (stoodStill) { session.Renew(); }

                // Not "is not here": one that is being taken up is not here yet, and who forgot its sessions would keep others out for ever.
                if (session.Hosted.IsLetGo) { _ = LeaveAsync(session); }
                else if (session.IsExpired() && session.Hosted.Shard.CanServe) { _ = ExpireAsync(session); }
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await timer.DisposeAsync();
        Volatile.Write(ref stopped, true);
        await copies.DisposeAsync();
        while (!sessions.IsEmpty)
        {
            // All at once: a request of one may wait for another one.
            await Task.WhenAll(sessions.Values.Select(session => node.Host.IsOneOfSeveral
                ? LeaveAsync(session)
                : EndAsync(session, Status.SessionExpired)));
        }

        threads.Dispose();
        owed.Dispose();
    }

    /// <summary>Opens a session of the node for a client.</summary>
    internal async ValueTask<(Status Status, RemoteSession? Session)> OpenAsync(V1.OpenSession open)
    {
        SessionToken token = new(BinaryPrimitives.ReadUInt128BigEndian(RandomNumberGenerator.GetBytes(SessionToken.Size)));
        bool isOfPool = node.Host.IsOneOfSeveral;
        Reply<LocalDriveSession> opened = await threads.RunAsync(
            () => new ValueTask<Reply<LocalDriveSession>>(node.LocalAdmin.OpenSession(open.Drive, SessionAccesses.Of(open.ReadOnly, open.Shared), isOfPool ? token : default)));
        if (!opened.IsOk) { return (opened.Status, null); }
        RemoteSession session = new(
            opened.Value, token, isOfPool ? SessionLife.OfThePool : SessionLife.OfThisPrimary, options, threads, owed, clock, logger);

        // It may have gone on elsewhere, and come back, before it is known here.
        if (!sessions.TryAdd((session.Drive, session.Id), session)) { return (Status.Busy, null); }
        if (!Volatile.Read(ref stopped)) { return (Status.Ok, session); }
        await EndAsync(session, Status.SessionExpired);
        return (Status.Busy, null);
    }

    /// <summary>The session that a key names and may speak for, its lease renewed.</summary>
    /// <param name="key">What a client shows.</param>
    /// <param name="why">Without one: SessionExpired, there is none; StaleEpoch: it may be elsewhere, or here in a moment.</param>
    internal RemoteSession? Find(V1.SessionKey? key, out Status why)
    {
        why = Status.SessionExpired;
        if (key is null || key.Drive.Length != DriveId.Size) { return null; }
        DriveId drive = DriveId.Read(key.Drive.Span);
        long? settled = node.Host.Settled();
        if (!sessions.TryGetValue((drive, new(key.Session)), out RemoteSession? session))
        {
            why = node.Host.WhyNoSession(drive, settled);
            return null;
        }

        if (!session.HasToken(key.Token.Span)) { return null; }
        if (IsHere(session) && session.Hosted.Shard.CanServe && !session.OwesForgetting(leases: 1))
        {
            session.Renew();
            why = Status.Ok;
            return session;
        }

        why = Status.StaleEpoch;
        return null;
    }

    /// <summary>The same, and waits a moment for a drive that is about to be served here: who comes with the newest map is there before that
    /// is.</summary>
    internal async ValueTask<(RemoteSession? Session, Status Why)> FindSoonAsync(V1.SessionKey? key, CancellationToken cancellation)
    {
        long began = clock.GetTimestamp();
        while (true)
        {
            Task next = Volatile.Read(ref moved).Task;
            RemoteSession? session = Find(key, out Status why);
            bool isOver = cancellation.IsCancellationRequested || clock.GetElapsedTime(began) > s_patience;
            if (why != Status.StaleEpoch || isOver || !node.Host.IsComing(DriveId.Read(key!.Drive.Span))) { return (session, why); }

            // A lease comes back without a word.
            await Task.WhenAny(next, Task.Delay(s_look, clock, cancellation));
        }
    }

    /// <summary>This node serves some drives no more: their sessions go on elsewhere.</summary>
    internal void LetGo(IReadOnlyList<HostedDrive> drives)
    {
        HashSet<HostedDrive> gone = [.. drives];
        foreach (RemoteSession session in sessions.Values)
        {
            if (gone.Contains(session.Hosted)) { _ = LeaveAsync(session); }
        }
    }

    /// <summary>Ends a session; ends when it has ended, so that whoever waits for that finds the drive free.</summary>
    internal async Task EndAsync(RemoteSession session, Status why)
    {
        try
        {
            await session.EndAsync(why);
        }
        catch (Exception e)
        {
            LogEndFailed(logger, session.Id, session.Drive, e);
        }
        finally
        {
            sessions.TryRemove(new((session.Drive, session.Id), session));
        }
    }

    internal V1.Opened Describe(RemoteSession session) => new()
    {
        Key = session.Key,
        LeaseMs = (uint)options.Lease.TotalMilliseconds,
        WantsHoldings = session.WantsHoldings,
        Spread = (uint)session.Hosted.State.Policy.Spread,
    };

    /// <summary>A client's direct stream has ended, and not by the client.</summary>
    internal void NoteEnded(RemoteSession session, string why) => LogStreamEnded(logger, session.Id, session.Drive, why);

    private SessionToken FindOwnSession(DriveId drive, SessionId session) => node.Host.FindSession(drive, session)?.Token ?? default;

    /// <summary>Whether the session's drive is still served here, without a break since the session came.</summary>
    private bool IsHere(RemoteSession session) => node.Host.Find(session.Drive) == session.Hosted;

    /// <summary>Sessions of the primary before go on here. Each has a whole lease to be resumed.</summary>
    private void Adopt(HostedDrive drive, IReadOnlyList<AdoptedSession> adopted)
    {
        foreach (AdoptedSession each in adopted)
        {
            RemoteSession session = new(
                node.LocalAdmin.NewSession(drive, each.Id, each.Access), each.Token, SessionLife.OfPrimaryBefore, options, threads, owed, clock, logger);
            sessions[(drive.Id, each.Id)] = session;
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task LeaveAsync(RemoteSession session)
    {
        sessions.TryRemove(new((session.Drive, session.Id), session));
        await session.LeaveAsync();
    }

    private async Task ExpireAsync(RemoteSession session)
    {
        LogExpired(logger, session.Id, session.Drive, options.Lease);
        await EndAsync(session, Status.SessionExpired);
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Session {Session} with drive {Drive} has expired: its client was silent for longer than {Lease}, or did not do what it was recalled for.")]
    private static partial void LogExpired(ILogger logger, SessionId session, DriveId drive, TimeSpan lease);

    [LoggerMessage(Level = LogLevel.Information, Message = "The direct stream of session {Session} with drive {Drive} has ended: {Why}.")]
    private static partial void LogStreamEnded(ILogger logger, SessionId session, DriveId drive, string why);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Session {Session} with drive {Drive} could not be ended cleanly: what it held is let go at the next start.")]
    private static partial void LogEndFailed(ILogger logger, SessionId session, DriveId drive, Exception e);
}
