using System.Buffers.Binary;
using System.Security.Cryptography;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Sessions;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using Microsoft.Extensions.Logging;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>A session of a client in another process: it outlives its streams by its lease.</summary>
/// <remarks>
/// Thread safe. What is kept where: the answers of changes in <see cref="KeptAnswers"/>, recalls that stand here, everything else
/// in the node's own session. An answer goes to the stream that is the session's when it is done.
/// <para>An answer that this node may not give, because another one may be primary by now, ends the stream instead: the client finds
/// out who is, and sends it all again there.</para>
/// <para>The end, in order: (1) no request is taken any more; (2) waits for locks are cancelled, and what runs is waited for, so
/// that nothing is held for a session that is gone; (3) the node's own session is ended; (4) recalls count as done: a session
/// that has ended has nothing to flush; (5) its stream is told, and
/// ended.</para>
/// </remarks>
#pragma warning disable CA1001 // What it owns has no handles, and answers that come late still use it.
internal sealed partial class RemoteSession : ISessionRecall, INodeKeeper
#pragma warning restore CA1001
{
    /// <summary>Requests of a stream that are on their way at the most.</summary>
    private const int MaxRequests = 1024;

    private readonly LocalDriveSession local;
    private readonly SessionRequests requests;
    private readonly RemoteOptions options;
    private readonly RequestThreads threads;
    private readonly RequestThreads owed;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly byte[] token;
    private readonly KeptAnswers kept;
    private readonly SemaphoreSlim room = new(MaxRequests);
    private readonly CancellationTokenSource ending = new();
    private readonly TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock gate = new();
    private readonly Dictionary<ulong, CancellationTokenSource> waits = [];
    private readonly SortedDictionary<ulong, StandingRecall> recalls = [];
    private SessionStream? stream;
    private Task? end;
    private ulong lastRecall;
    private long renewedAt;

    /// <summary>When this primary first knew it.</summary>
    private readonly long begunAt;
    private int running;
    private bool hadStream;

    /// <param name="local">The node's own session.</param>
    /// <param name="token">Proves that one may speak for it.</param>
    /// <param name="life">Whether it ends with this primary.</param>
    /// <param name="options">How long it lasts.</param>
    /// <param name="threads">Carry out its requests.</param>
    /// <param name="owed">Carry out those that others may be waiting for.</param>
    /// <param name="clock">Of its lease.</param>
    /// <param name="logger">Hears of what should not happen.</param>
    public RemoteSession(
        LocalDriveSession local,
        SessionToken token,
        SessionLife life,
        RemoteOptions options,
        RequestThreads threads,
        RequestThreads owed,
        TimeProvider clock,
        ILogger logger)
    {
        this.local = local;
        this.options = options;
        this.threads = threads;
        this.owed = owed;
        this.clock = clock;
        this.logger = logger;
        this.token = new byte[SessionToken.Size];
        BinaryPrimitives.WriteUInt128BigEndian(this.token, token.Value);
        requests = new(local, keeps: life != SessionLife.OfThisPrimary);
        isAdopted = life == SessionLife.OfPrimaryBefore;
        kept = new(isAdopted ? FindEarlier : null);
        holdings = isAdopted ? new() : null;

        // Its client may keep whatever the primary before let it keep.
        hadStream = isAdopted;

        // Recalls of another primary are not mistaken for this one's.
        lastRecall = local.Hosted.Shard.Epoch.Value << 32;
        Renew();
        begunAt = clock.GetTimestamp();
        local.OnRecall(this);
        if (local.Access.IsShared()) { Hosted.Kept.Add(Id, this, isAbsent: isAdopted); }
    }

    public DriveId Drive => local.Drive;

    public SessionId Id => local.Id;

    public IBlockService Blocks => local.Blocks;

    public bool IsReadOnly => local.Access.IsReadOnly();

    /// <summary>The drive that it is with.</summary>
    public HostedDrive Hosted => local.Hosted;

    /// <summary>Whether its client is to say what it holds before anything else.</summary>
    public bool WantsHoldings
    {
        get
        {
            lock (gate) { return holdings is not null; }
        }
    }

    public V1.SessionKey Key => new()
    {
        Drive = Drive.ToWire(),
        Session = Id.Value,
        Token = Google.Protobuf.ByteString.CopyFrom(token),
    };

    /// <summary>Compares in a time that does not tell how much of it was right.</summary>
    public bool HasToken(ReadOnlySpan<byte> shown) => CryptographicOperations.FixedTimeEquals(token, shown);

    /// <summary>The client has said something.</summary>
    public void Renew() => Volatile.Write(ref renewedAt, clock.GetTimestamp());

    /// <summary>Tells the client that its lease was renewed. Who may not serve now cannot: its stream is ended, and the client looks for who
    /// may.</summary>
    public void Confirm(SessionStream asked)
    {
        if (local.Hosted.Shard.CanServe)
        {
            if (!OwesForgetting(leases: 1) && !OwesFiles()) { asked.Send(new() { Renewed = new() }); }
            return;
        }

        lock (gate)
        {
            if (stream == asked) { CutStream(); }
        }
    }

    /// <summary>Its client has been silent for longer than the lease, or owes an answer to a recall for too
    /// long.</summary>
    public bool IsExpired()
    {
        long now = clock.GetTimestamp();
        bool owes = OwesForgetting(leases: 2);
        lock (gate)
        {
            if (end is not null) { return false; }
            if (isLost || owes) { return true; }
            if (holdings is not null && clock.GetElapsedTime(begunAt, now) > 2 * options.Lease) { return true; }
            if (clock.GetElapsedTime(Volatile.Read(ref renewedAt), now) > options.Lease) { return true; }

            // Who has files shows what is in them until its lease is over.
            return recalls.Values.Any(recall => recall.Done is not null && clock.GetElapsedTime(recall.Since, now)
                > (recall.Kind == V1.RecallKind.Return ? options.RecallTime + options.Lease : options.RecallTime));
        }
    }

    /// <summary>Takes a stream in place of the one before. False: the session has ended.</summary>
    public bool Attach(SessionStream next)
    {
        SessionStream? before;
        lock (gate)
        {
            if (end is not null) { return false; }
            before = stream;
            stream = next;
            hadStream = true;
            foreach ((ulong id, StandingRecall recall) in recalls) { next.Send(Message(id, recall)); }
        }

        before?.Replace();
        return true;
    }

    /// <summary>A stream has ended; if it was the session's, it has none.</summary>
    public void Detach(SessionStream ended)
    {
        lock (gate)
        {
            if (stream == ended) { stream = null; }
        }
    }

    /// <summary>Ends the session; ends when it has ended.</summary>
    /// <param name="why">What its stream is told: Ok if the client asked for it.</param>
    public Task EndAsync(Status why)
    {
        lock (gate)
        {
            if (end is null)
            {
                if (running == 0) { idle.SetResult(); }
                end = FinishAsync(why);
            }

            return end;
        }
    }

    /// <summary>Another node serves the drive: the session goes on there. Its stream is told at once, and nothing else any more.
    /// </summary>
    public Task LeaveAsync()
    {
        lock (gate)
        {
            CutStream();
            local.Leave();
            if (end is null) { ended = Status.StaleEpoch; }
        }

        return EndAsync(Status.StaleEpoch);
    }

    /// <summary>Has the client look for whoever serves the drive. With the gate held.</summary>
    private void CutStream()
    {
        SessionStream? last = stream;
        stream = null;
        last?.Send(new() { Closed = new() { Status = V1.Status.StaleEpoch } });
        last?.Complete();
    }

    private async Task FinishAsync(Status why)
    {
        // Not under the caller's lock.
        await Task.Yield();

        // Whoever waits for what its client keeps may be one of those that are waited for below. If it goes on elsewhere, its client may keep
        // that still: nothing is changed here any more.
        // Nor does it wait itself for what others have.
        if (why == Status.StaleEpoch)
        {
            Hosted.Kept.End();
            Hosted.Writes.End();
        }
        else
        {
            Hosted.Kept.Remove(Id);
            Hosted.Writes.OnEnding(Id);
        }

        await ending.CancelAsync();
        await idle.Task;
        try
        {
            if (why != Status.StaleEpoch)
            {
                await threads.RunAsync(async () =>
                {
                    await local.DisposeAsync();
                    return true;
                });
            }
        }
        finally
        {
            // Whether the end is in the log nobody here can tell: its client closes it where the drive is served now.
            TellOfEnd(local.Hosted.Shard.CanServe ? why : Status.StaleEpoch);
        }
    }

    private void TellOfEnd(Status why)
    {
        StandingRecall[] standing;
        SessionStream? last;
        lock (gate)
        {
            standing = [.. recalls.Values];
            recalls.Clear();
            last = stream;
        }

        foreach (StandingRecall recall in standing) { recall.Done?.SetResult(Status.Ok); }
        last?.Send(new() { Closed = new() { Status = why.ToWire() } });
        last?.Complete();
    }
}
