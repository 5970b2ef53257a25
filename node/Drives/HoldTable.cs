using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Node.Drives;

/// <summary>Which sessions hold which VNodes open, and which of these have lost their last name.</summary>
/// <remarks>In memory: when the process ends so do its sessions, and orphans go. Not thread safe: the shard's owner has
/// it.</remarks>
public sealed class HoldTable : INodeHolders
{
    private readonly Dictionary<VNodeId, List<(SessionId Session, int Count)>> holds = [];
    private readonly HashSet<VNodeId> orphans = [];
    private SessionId[] holders = new SessionId[4];

    public bool IsEmpty => holds.Count == 0;

    public void Add(VNodeId id, SessionId session)
    {
        ref List<(SessionId Session, int Count)>? list =
            ref CollectionsMarshal.GetValueRefOrAddDefault(holds, id, out _);
        list ??= new(1);
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
        if (!holds.TryGetValue(id, out List<(SessionId Session, int Count)>? list)) { return default; }
        if (holders.Length < list.Count) { holders = new SessionId[list.Count * 2]; }
        for (int i = 0; i < list.Count; i++) { holders[i] = list[i].Session; }
        return holders.AsSpan(0, list.Count);
    }

    /// <summary>A held VNode has lost its last name.</summary>
    public void MarkOrphan(VNodeId id) => orphans.Add(id);

    /// <summary>A nameless VNode was given a name.</summary>
    public void UnmarkOrphan(VNodeId id) => orphans.Remove(id);

    /// <summary>Lets go of everything that a session holds, and lists the orphans among it.</summary>
    public void RemoveSession(SessionId session, List<VNodeId> released)
    {
        ArgumentNullException.ThrowIfNull(released);
        List<VNodeId> held = [];
        foreach ((VNodeId id, List<(SessionId Session, int Count)> list) in holds)
        {
            foreach ((SessionId holder, _) in list)
            {
                if (holder == session) { held.Add(id); }
            }
        }

        held.Sort();
        foreach (VNodeId id in held)
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
}
