using System.Runtime.InteropServices;

namespace KvFs.Core;

/// <summary>Which sessions hold which VNodes open, and which of these have lost their last name.</summary>
/// <remarks>In memory. A session that outlived its primary holds everything here until its client has said what it holds
/// (<see cref="AddAbsent"/>, <see cref="Settle"/>): nothing that it may have open goes meanwhile. Not thread safe: the shard's owner
/// has it.</remarks>
public sealed class HoldTable : INodeHolders
{
    private readonly SortedDictionary<VNodeId, List<(SessionId Session, int Count)>> holds = [];
    private readonly HashSet<VNodeId> orphans = [];
    private readonly SortedSet<SessionId> absent = new(Comparer<SessionId>.Create(static (x, y) => x.Value.CompareTo(y.Value)));
    private SessionId[] holders = new SessionId[4];

    public bool IsEmpty => holds.Count == 0 && absent.Count == 0;

    /// <summary>A session of another primary goes on here, and has not said yet what it holds.</summary>
    public void AddAbsent(SessionId session) => absent.Add(session);

    /// <summary>A session has said what it holds, and how many times: it holds that, and nothing else. May be said again.</summary>
    public void Settle(SessionId session, IReadOnlyDictionary<VNodeId, uint> held)
    {
        ArgumentNullException.ThrowIfNull(held);
        absent.Remove(session);
        foreach (List<(SessionId Session, int Count)> list in holds.Values) { list.RemoveAll(entry => entry.Session == session); }
        foreach ((VNodeId id, uint count) in held.OrderBy(static hold => hold.Key)) { EntriesOf(id).Add((session, (int)count)); }
        foreach (VNodeId free in holds.Where(static hold => hold.Value.Count == 0).Select(static hold => hold.Key).ToList()) { holds.Remove(free); }
        if (absent.Count == 0) { orphans.RemoveWhere(orphan => !holds.ContainsKey(orphan)); }
    }

    public void Add(VNodeId id, SessionId session)
    {
        List<(SessionId Session, int Count)> list = EntriesOf(id);
        Span<(SessionId Session, int Count)> entries = CollectionsMarshal.AsSpan(list);
        for (int i = 0; i < entries.Length; i++)
        {
            if (entries[i].Session == session)
            {
                entries[i].Count++;
                return;
            }
        }

        list.Add((session, 1));
    }

    /// <summary>Lets go once. True if the session held an orphan for the last time: its data may go.</summary>
    /// <exception cref="ArgumentException">The session does not hold the VNode.</exception>
    public bool Remove(VNodeId id, SessionId session)
    {
        if (holds.TryGetValue(id, out List<(SessionId Session, int Count)>? list))
        {
            for (int i = 0; i < list.Count; i++)
            {
                if (list[i].Session != session) { continue; }
                if (list[i].Count > 1)
                {
                    list[i] = (session, list[i].Count - 1);
                    return false;
                }

                list.RemoveAt(i);
                if (list.Count == 0) { holds.Remove(id); }
                return orphans.Contains(id) && (list.Count > 0 || orphans.Remove(id));
            }
        }

        throw new ArgumentException($"Session {session} does not hold VNode {id}.");
    }

    /// <summary>The sessions that hold a VNode. Valid until the next call.</summary>
    public ReadOnlySpan<SessionId> Holders(VNodeId id)
    {
        List<(SessionId Session, int Count)>? list = holds.GetValueOrDefault(id);
        int count = (list?.Count ?? 0) + absent.Count;
        if (holders.Length < count) { holders = new SessionId[count * 2]; }
        for (int i = 0; i < list?.Count; i++) { holders[i] = list[i].Session; }
        absent.CopyTo(holders, list?.Count ?? 0);
        return holders.AsSpan(0, count);
    }

    /// <summary>A held VNode has lost its last name.</summary>
    public void MarkOrphan(VNodeId id) => orphans.Add(id);

    /// <summary>A nameless VNode was given a name.</summary>
    public void UnmarkOrphan(VNodeId id) => orphans.Remove(id);

    /// <summary>Lets go of everything that a session holds, and lists the orphans among it.</summary>
    public void RemoveSession(SessionId session, List<VNodeId> released)
    {
        ArgumentNullException.ThrowIfNull(released);
        absent.Remove(session);
        List<VNodeId> own = [];
        foreach ((VNodeId id, List<(SessionId Session, int Count)> list) in holds)
        {
            foreach ((SessionId holder, _) in list)
            {
                if (holder == session) { own.Add(id); }
            }
        }

        foreach (VNodeId id in own)
        {
            List<(SessionId Session, int Count)> list = holds[id];
            list.RemoveAll(entry => entry.Session == session);
            if (list.Count == 0) { holds.Remove(id); }
            if (orphans.Contains(id))
            {
                released.Add(id);
                if (list.Count == 0) { orphans.Remove(id); }
            }
        }
    }

    private List<(SessionId Session, int Count)> EntriesOf(VNodeId id)
    {
        if (!holds.TryGetValue(id, out List<(SessionId Session, int Count)>? list))
        {
            list = new(1);
            holds.Add(id, list);
        }

        return list;
    }
}
