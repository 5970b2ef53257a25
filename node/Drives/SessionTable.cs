using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Drives;

/// <summary>The sessions of one drive, and who answers for what they keep.</summary>
/// <remarks>Thread safe. As long as there are no delegations, a client that may write has the drive for itself: it caches
/// without asking.</remarks>
public sealed class SessionTable : ISessionLiveness
{
    private readonly Lock gate = new();
    private readonly Dictionary<SessionId, ISessionRecall?> sessions = [];
    private SessionId writer;

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

    /// <summary>Admits a session. <see cref="Status.InUse"/>: somebody who may write has the drive, or the new one wants to
    /// write and somebody reads.</summary>
    public Status Admit(SessionId id, bool readOnly)
    {
        lock (gate)
        {
            if (writer != default || (!readOnly && sessions.Count > 0)) { return Status.InUse; }
            sessions.Add(id, null);
            if (!readOnly) { writer = id; }
            return Status.Ok;
        }
    }

    /// <summary>Names who answers for a session.</summary>
    public void Register(SessionId id, ISessionRecall recall)
    {
        lock (gate)
        {
            Invariant.Check(sessions.ContainsKey(id));
            sessions[id] = recall;
        }
    }

    public void Remove(SessionId id)
    {
        lock (gate)
        {
            sessions.Remove(id);
            if (writer == id) { writer = default; }
        }
    }

    /// <summary>Has every session commit what it buffers; the first failure, if any.</summary>
    public async ValueTask<Status> FlushAllAsync()
    {
        Status first = Status.Ok;
        foreach (ISessionRecall recall in Recalls())
        {
            Status status = await recall.FlushAsync();
            if (first == Status.Ok) { first = status; }
        }

        return first;
    }

    /// <summary>Has every session drop what it caches.</summary>
    public async ValueTask InvalidateAllAsync()
    {
        foreach (ISessionRecall recall in Recalls()) { await recall.InvalidateAsync(); }
    }

    private List<ISessionRecall> Recalls()
    {
        lock (gate) { return [.. sessions.Values.OfType<ISessionRecall>()]; }
    }
}
