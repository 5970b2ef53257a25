using System.Runtime.CompilerServices;
using KvFs.Core;

namespace KvFs.Protocol.BlockChannel;

/// <summary>A few connections to one node, made when they are needed and made again when they end.</summary>
/// <remarks>
/// Thread safe. A request goes to the connection that has the fewest bytes in flight; another is opened while all are busy
/// and there are fewer than <see cref="BlockChannelClientOptions.Connections"/>. While the node cannot be reached, attempts
/// have pauses between them, which grow, and requests are answered Unavailable at once: the caller has other replicas. Nobody
/// attempts anything while nobody asks.
/// </remarks>
public sealed class BlockChannelPool : IAsyncDisposable
{
    /// <summary>A connection that ends so early counts as an attempt that failed.</summary>
    private static readonly TimeSpan ShortLife = TimeSpan.FromSeconds(1);

    /// <summary>Times that a request is handed to a connection that just then turns out to have ended.</summary>
    private const int Attempts = 3;

    private readonly BlockChannelTarget target;
    private readonly BlockChannelClientOptions options;
    private readonly CancellationTokenSource closing = new();
    private readonly Lock gate = new();
    private readonly List<Member> members = [];
    private Task<ConnectOutcome>? connecting;
    private int failures;
    private long retryAt;
    private ChannelEnd? lastFailure;
    private bool isDisposed;

    /// <exception cref="ArgumentException">The options make no sense.</exception>
    public BlockChannelPool(BlockChannelTarget target, BlockChannelClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Connections, 1);
        this.target = target;
        this.options = options;
    }

    /// <summary>Connections that take requests.</summary>
    public int OpenConnections
    {
        get
        {
            lock (gate) { return members.Count(static member => member.Client.IsOpen); }
        }
    }

    /// <summary>Why the last attempt, or the last connection that ended, failed; null if none has.</summary>
    public ChannelEnd? LastFailure => Volatile.Read(ref lastFailure);

    /// <summary>The shortest round trip of its connections; zero while none is measured.</summary>
    public TimeSpan RoundTrip
    {
        get
        {
            lock (gate)
            {
                return members.Select(static member => member.Client.RoundTrip)
                    .Where(static time => time > TimeSpan.Zero).DefaultIfEmpty().Min();
            }
        }
    }

    /// <summary>As <see cref="BlockChannelClient.WriteAsync"/>; Unavailable also: the node cannot be reached.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<BlockAnswer> WriteAsync(
        BlockWrite write,
        ReadOnlyMemory<byte> content,
        ReadOnlyMemory<uint> checksums,
        Deadline deadline,
        CancellationToken cancellation)
    {
        for (int attempt = 1; ; attempt++)
        {
            BlockChannelClient? client = Pick() ?? await ConnectAsync(deadline, cancellation).ConfigureAwait(false);
            if (client is null) { return NotSent(deadline); }
            BlockAnswer answer =
                await client.WriteAsync(write, content, checksums, deadline, cancellation).ConfigureAwait(false);
            if (answer.Status != Status.Unavailable || client.IsOpen || attempt == Attempts) { return answer; }
        }
    }

    /// <summary>As <see cref="BlockChannelClient.ReadAsync"/>; Unavailable also: the node cannot be reached.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<BlockAnswer> ReadAsync(
        BlockRead read, Memory<byte> destination, Memory<uint> checksums, Deadline deadline, CancellationToken cancellation)
    {
        for (int attempt = 1; ; attempt++)
        {
            BlockChannelClient? client = Pick() ?? await ConnectAsync(deadline, cancellation).ConfigureAwait(false);
            if (client is null) { return NotSent(deadline); }
            BlockAnswer answer =
                await client.ReadAsync(read, destination, checksums, deadline, cancellation).ConfigureAwait(false);
            if (answer.Status != Status.Unavailable || client.IsOpen || attempt == Attempts) { return answer; }
        }
    }

    /// <summary>Closes all connections; requests that are not answered end as if these had ended.</summary>
    public async ValueTask DisposeAsync()
    {
        Task<ConnectOutcome>? last;
        lock (gate)
        {
            if (isDisposed) { return; }
            isDisposed = true;
            last = connecting;
        }

        await closing.CancelAsync().ConfigureAwait(false);
        if (last is not null) { await last.ConfigureAwait(false); }
        Member[] left;
        lock (gate) { left = [.. members]; }
        foreach (Member member in left) { await member.Client.DisposeAsync().ConfigureAwait(false); }
        closing.Dispose();
    }

    private BlockAnswer NotSent(Deadline deadline) =>
        BlockAnswer.Of(deadline.IsPast(options.Clock) ? Status.TimedOut : Status.Unavailable);

    /// <summary>The least busy connection; null if none is open.</summary>
    private BlockChannelClient? Pick()
    {
        lock (gate)
        {
            DropEnded();
            BlockChannelClient? best = null;
            long least = long.MaxValue;
            foreach (Member member in members)
            {
                long load = member.Client.LoadBytes;
                if (load >= least || !member.Client.IsOpen) { continue; }
                least = load;
                best = member.Client;
            }

            if (best is not null && least > 0) { TryBegin(); }
            return best;
        }
    }

    private void DropEnded()
    {
        for (int at = members.Count - 1; at >= 0; at--)
        {
            Member member = members[at];
            if (member.Client.End is not { } end) { continue; }
            members.RemoveAt(at);
            if (options.Clock.GetElapsedTime(member.Since) < ShortLife) { Fail(end); }
            else { lastFailure = end; }
        }
    }

    /// <summary>Waits for the attempt that is under way, or for a new one if it is time for one.</summary>
    /// <returns>Null: there is none, it failed, or the deadline came first.</returns>
    private async ValueTask<BlockChannelClient?> ConnectAsync(Deadline deadline, CancellationToken cancellation)
    {
        Task<ConnectOutcome>? attempt;
        lock (gate)
        {
            TryBegin();
            attempt = connecting;
        }

        if (attempt is null) { return null; }
        try
        {
            ConnectOutcome outcome =
                await attempt.WaitAsync(deadline.Remaining(options.Clock), options.Clock, cancellation).ConfigureAwait(false);
            return outcome.Client;
        }
        catch (TimeoutException)
        {
            return null;
        }
    }

    /// <summary>Begins an attempt, unless one is under way, it is too early for one, or there are connections enough. Under
    /// the gate.</summary>
    private void TryBegin()
    {
        bool mayBegin = !isDisposed && connecting is null && members.Count < options.Connections
            && (failures == 0 || options.Clock.GetTimestamp() >= retryAt);
        if (mayBegin) { connecting = MakeAsync(); }
    }

    private async Task<ConnectOutcome> MakeAsync()
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        ConnectOutcome outcome;
        try
        {
            outcome = await BlockChannelClient.ConnectAsync(target, options, closing.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            outcome = new(null, new(Status.Unavailable, "the pool is closed"));
        }
        lock (gate)
        {
            connecting = null;
            if (outcome.Client is not null)
            {
                failures = 0;
                members.Add(new(outcome.Client, options.Clock.GetTimestamp()));
            }
            else { Fail(outcome.Failure!); }
        }

        return outcome;
    }

    private void Fail(ChannelEnd failure)
    {
        lastFailure = failure;
        TimeSpan pause = TimeSpan.FromTicks(
            (long)Math.Min(options.MaxBackoff.Ticks, options.MinBackoff.Ticks * Math.Pow(2, Math.Min(failures, 30))));
        failures++;

        // Between half and all of it, or clients that lost a node together would all come back together.
        pause *= 0.5 + (Random.Shared.NextDouble() / 2);
        retryAt = options.Clock.GetTimestamp() + (long)(pause.TotalSeconds * options.Clock.TimestampFrequency);
    }

    private sealed record Member(BlockChannelClient Client, long Since);
}
