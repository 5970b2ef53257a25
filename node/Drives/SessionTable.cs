using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Drives;

/// <summary>The sessions of one drive, and who answers for what they keep.</summary>
/// <remarks>Thread safe.</remarks>
public sealed class SessionTable : ISessionLiveness
{
    private readonly Lock gate = new();
    private readonly Dictionary<SessionId, (SessionAccess Access, ISessionRecall? Recall)> sessions = [];

    public int Count
    {
        get
        {
            lock (gate) { return sessions.Count; }
        }
    }

    public bool IsLive(SessionId session)
    {
        lock (gate) { return sessions.ContainsKey(session); }
    }

    /// <summary>Whether a session would be admitted. <see cref="Status.InUse"/>: one that has the drive does not go with it
    /// (<see cref="SessionAccesses.GoesWith"/>).</summary>
    public Status CanAdmit(SessionAccess access)
    {
        lock (gate)
        {
            foreach ((SessionAccess other, _) in sessions.Values)
            {
                if (!access.GoesWith(other)) { return Status.InUse; }
            }

            return Status.Ok;
        }
    }

    /// <summary>Admits a session, unless <see cref="CanAdmit"/> says why not.</summary>
    public Status Admit(SessionId id, SessionAccess access)
    {
        lock (gate)
        {
            Status status = CanAdmit(access);
            if (status == Status.Ok) { sessions.Add(id, (access, null)); }
            return status;
        }
    }

    /// <summary>Names who answers for a session.</summary>
    public void Register(SessionId id, ISessionRecall recall)
    {
        lock (gate)
        {
            sessions[id] = sessions[id] with { Recall = recall };
        }
    }

    public void Remove(SessionId id)
    {
        lock (gate) { sessions.Remove(id); }
    }

    /// <summary>Has every session, but one, commit what it buffers, and give back what it has set aside for more; the first failure, if any.
    /// </summary>
    public async ValueTask<Status> FlushAllAsync(SessionId except = default)
    {
        Status first = Status.Ok;
        foreach (ISessionRecall recall in Recalls(except))
        {
            Status status = await recall.FlushAsync();
            if (first == Status.Ok) { first = status; }
        }

        return first;
    }

    /// <summary>Has every session drop what it caches.</summary>
    public async ValueTask InvalidateAllAsync()
    {
        foreach (ISessionRecall recall in Recalls(except: default)) { await recall.InvalidateAsync(); }
    }

    private List<ISessionRecall> Recalls(SessionId except)
    {
        lock (gate)
        {
            return [.. sessions.Where(session => session.Key != except).Select(static session => session.Value.Recall).OfType<ISessionRecall>()];
        }
    }
}
