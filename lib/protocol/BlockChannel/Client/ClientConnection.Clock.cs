using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Client;

/// <summary>Deadlines, pings, and when the server counts as dead.</summary>
internal sealed partial class ClientConnection
{
    private readonly Bare ping = new(FrameKind.Ping);
    private TimeSpan pingInterval;
    private ITimer? timer;
    private long due;
    private long nextPing;
    private ulong pingId;
    private long pingSentAt;
    private bool isPinging;
    private long roundTripTicks;

    /// <summary>What the last ping took; zero before the first is answered.</summary>
    public TimeSpan RoundTrip => new(Volatile.Read(ref roundTripTicks));

    private void StartClock(int serverSilenceMs)
    {
        // A third: two pings may be late.
        TimeSpan bound = serverSilenceMs == 0 ? TimeSpan.MaxValue : TimeSpan.FromMilliseconds(serverSilenceMs / 3.0);
        pingInterval = options.PingInterval < bound ? options.PingInterval : bound;
        lock (gate)
        {
            due = Clock.GetTimestamp();
            timer = Clock.CreateTimer(_ => OnTime(), null, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
    }

    private void StopClock()
    {
        lock (gate) { timer?.Dispose(); }
    }

    /// <summary>Sees to it that somebody looks when a deadline has passed. Under the gate.</summary>
    private void ArmFor(Deadline deadline)
    {
        if (deadline.Timestamp >= due) { return; }
        due = deadline.Timestamp;
        SetTimer();
    }

    /// <summary>Has the timer fire when it is due. Under the gate.</summary>
    /// <remarks>A timer is set to a time from now. If this thread is held up between its look at the clock and that, the
    /// timer would fire as much too late: so the clock is looked at again.</remarks>
    private void SetTimer()
    {
        long now = Clock.GetTimestamp();
        if (due > now)
        {
            timer?.Change(Clock.GetElapsedTime(now, due), Timeout.InfiniteTimeSpan);
            if (due > Clock.GetTimestamp()) { return; }
        }

        timer?.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private void OnTime()
    {
        if (Silence > options.SilenceTime) { CutDead($"nothing was heard for {options.SilenceTime}"); }
        if (Sender.Stalled > options.StallTime) { CutDead($"the peer took nothing for {options.StallTime}"); }
        List<ClientRequest> late = [];
        bool mustPing;
        bool isStuck = false;
        lock (gate)
        {
            if (hasEnded) { return; }
            long now = Clock.GetTimestamp();
            mustPing = now >= nextPing;
            if (mustPing) { nextPing = now + (long)(pingInterval.TotalSeconds * Clock.TimestampFrequency); }
            due = nextPing;
            foreach (ClientRequest? request in slots) { isStuck |= request is not null && Look(request, now, late); }
            foreach (ClientRequest request in waitingReads) { Look(request, now, late); }
            foreach (ClientRequest request in waitingWrites) { Look(request, now, late); }
            AbandonAll(late, Abandonment.TimedOut);
            SetTimer();
        }

        foreach (ClientRequest request in late) { Settle(request); }
        if (mustPing) { Ping(); }
        if (isStuck) { CutDead($"a frame was under way for {options.StallTime} after its request was given up"); }
    }

    private void CutDead(string reason) => Cut(new(Status.Unavailable, reason));

    /// <summary>Notes when a request is to be looked at again.</summary>
    /// <returns>Whether it was given up long ago, and its memory is still in use.</returns>
    private bool Look(ClientRequest request, long now, List<ClientRequest> late)
    {
        if (request.IsCompleted) { return false; }
        if (request.Abandoned != Abandonment.None)
        {
            return Clock.GetElapsedTime(request.AbandonedAt, now) > options.StallTime;
        }

        if (request.Deadline.Timestamp <= now) { late.Add(request); }
        else { due = Math.Min(due, request.Deadline.Timestamp); }
        return false;
    }

    private void Ping()
    {
        lock (gate)
        {
            if (isPinging || !ping.TryBegin(++pingId)) { return; }
            isPinging = true;
            pingSentAt = Clock.GetTimestamp();
        }

        Sender.Send(ping);
    }

    private string? OnPong(ulong id)
    {
        lock (gate)
        {
            if (!isPinging || id != pingId) { return $"nobody waits for the answer of ping {id}"; }
            isPinging = false;
            Volatile.Write(ref roundTripTicks, Math.Max(1, Clock.GetElapsedTime(pingSentAt).Ticks));
        }

        return null;
    }
}
