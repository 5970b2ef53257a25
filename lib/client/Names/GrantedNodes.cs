using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>VNode ids and room in the drive's quota of VNodes for what a client makes before it tells the primary.</summary>
/// <remarks>Guarded by its session's gate, but for <see cref="EnsureAsync"/>, which calls the primary.</remarks>
/// <param name="session">The primary.</param>
/// <param name="gate">Guards what is here.</param>
/// <param name="clock">The clock.</param>
internal sealed class GrantedNodes(IDriveSession session, Lock gate, TimeProvider clock) : IDisposable
{
    /// <summary>Ids that are asked for at once.</summary>
    private const uint Step = 1024;

    /// <summary>Ids left at which the next ones are asked for ahead.</summary>
    private const uint Low = Step / 2;

    /// <summary>A full quota is asked again after this.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim turn = new(1);
    private ulong next;
    private ulong end;
    private ulong following;
    private ulong followingEnd;
    private ulong held;
    private ulong needed;
    private long refusedAt;
    private bool wasRefused;

    /// <summary>The ids that may be used now: [Next, End).</summary>
    public ulong Next => next;

    public ulong End => Math.Min(end, next + (held - needed));

    /// <summary>Whether it is time to ask for more, before they are needed.</summary>
    public bool IsLow => end - next + (followingEnd - following) < Low || held - needed < Low;

    /// <summary>All ids before this one are used: one VNode each.</summary>
    public void UsedTo(ulong id)
    {
        needed += id - next;
        next = id;
        if (next == end)
        {
            next = following;
            end = followingEnd;
            following = followingEnd = 0;
        }
    }

    /// <summary>The primary has been told of so many of those that were made, and took so many out of what is set aside.</summary>
    public void Told(ulong made, ulong grown)
    {
        needed -= made;
        held = Math.Max(needed, held - Math.Min(held, grown));
    }

    /// <summary>The primary itself made a VNode for the session: what is set aside, which does not count against it, must not let it
    /// have more than there is room for. True: one less is set aside, tell the primary.</summary>
    public bool TryDrop()
    {
        if (held == needed) { return false; }
        held--;
        return true;
    }

    /// <summary>Asks for ids and room until both are there for a while.</summary>
    public async ValueTask<Status> EnsureAsync()
    {
        await turn.WaitAsync();
        try
        {
            Status status = await EnsureRoomAsync();
            return status == Status.Ok ? await EnsureIdsAsync() : status;
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Gives back what is set aside and not needed.</summary>
    public void Return()
    {
        ulong surplus;
        lock (gate)
        {
            surplus = held - needed;
            held = needed;
        }

        if (surplus > 0) { session.Unreserve(new(0, surplus)); }
    }

    public void Dispose() => turn.Dispose();

    private async ValueTask<Status> EnsureRoomAsync()
    {
        lock (gate)
        {
            if (held - needed >= Low) { return Status.Ok; }
            if (wasRefused && clock.GetElapsedTime(refusedAt) < Rest) { return Status.NoInodes; }
        }

        Status status = await session.ReserveAsync(new(0, Step));
        lock (gate)
        {
            if (status == Status.Ok) { held += Step; }
            wasRefused = status != Status.Ok;
            refusedAt = clock.GetTimestamp();
        }

        return status;
    }

    private async ValueTask<Status> EnsureIdsAsync()
    {
        lock (gate)
        {
            if (end - next + (followingEnd - following) >= Low || following != followingEnd) { return Status.Ok; }
        }

        Reply<VNodeId> first = await session.GrantVNodesAsync(Step);
        if (!first.IsOk) { return first.Status; }
        lock (gate)
        {
            if (next == end) { (next, end) = (first.Value.Value, first.Value.Value + Step); }
            else { (following, followingEnd) = (first.Value.Value, first.Value.Value + Step); }
        }

        return Status.Ok;
    }
}
