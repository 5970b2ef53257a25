using KvFs.Core;

namespace KvFs.Node.Drives;

/// <summary>Speaks for a session whose client keeps VNodes in its memory.</summary>
public interface INodeKeeper
{
    /// <summary>Has the client forget VNodes: their attributes, and the names in them. Does not wait; when the client has, or its session is
    /// over for certain, <see cref="KeptNodes"/> is told.</summary>
    /// <param name="nodes">Which; empty: all.</param>
    /// <param name="upTo">What <see cref="KeptNodes.Forgotten"/> is told with.</param>
    void Forget(IReadOnlyCollection<VNodeId> nodes, long upTo);
}

/// <summary>Which VNodes of a drive sessions keep in their clients' memory, because they share it and were told that they may: read
/// delegations.</summary>
/// <remarks>
/// Thread safe; its lock is the innermost. What is kept holds until its client was asked to forget it: whoever changes a VNode has others
/// forget it before the change can be seen, and nothing is kept that a change may have overtaken. A reader takes a
/// <see cref="Sample"/> before it reads; a change marks its VNodes from before it is committed until after; what was marked since the sample
/// may not be kept. Marks are kept by hash: a collision only keeps somebody from keeping.
/// <para>Numbers tell kept from kept again: a client that has forgotten what it was asked to may be told the same anew before its
/// answer is here, and that it still has.</para>
/// </remarks>
public sealed class KeptNodes
{
    /// <summary>VNodes that one session may keep: more than a client of ours does.</summary>
    public const int MaxNodes = 256 << 10;

    private const int Marks = 1 << 12;

    // Not a Lock: who changes something waits for pulses of it.
    private readonly object gate = new();
    private readonly Dictionary<SessionId, Kept> sessions = [];
    private readonly long[] changedAt = new long[Marks];
    private readonly int[] changing = new int[Marks];
    private long now;
    private bool isOver;

    /// <summary>Whether a session may keep anything at all. Set under the shard's gate, before the first one can: a change that is not
    /// marked has ended then.</summary>
    public bool IsUsed { get; private set; }

    /// <summary>A session may keep what it is told. With the shard's gate held, or before anybody knows the drive.</summary>
    public void Use() => IsUsed = true;

    /// <summary>Names who speaks for a session.</summary>
    /// <param name="session">Which.</param>
    /// <param name="keeper">Who.</param>
    /// <param name="isAbsent">A primary before this one let it keep nobody knows what: until <see cref="Forgotten"/>, that is everything.</param>
    public void Add(SessionId session, INodeKeeper keeper, bool isAbsent)
    {
        lock (gate)
        {
            sessions[session] = new(keeper) { IsAbsent = isAbsent };
            IsUsed |= isAbsent;
        }
    }

    /// <summary>A session is over, and its client keeps nothing any more.</summary>
    public void Remove(SessionId session)
    {
        lock (gate)
        {
            if (sessions.Remove(session)) { Monitor.PulseAll(gate); }
        }
    }

    /// <summary>The drive is served elsewhere: nobody is waited for any more.</summary>
    public void End()
    {
        lock (gate)
        {
            isOver = true;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>What <see cref="TryKeep"/> needs of before something is read.</summary>
    public long Sample()
    {
        lock (gate) { return now; }
    }

    /// <summary>Notes that a session keeps VNodes which were read since a sample. False: it may not.</summary>
    public bool TryKeep(SessionId session, ReadOnlySpan<VNodeId> nodes, long sample)
    {
        Kept? full;
        long upTo;
        lock (gate)
        {
            if (!IsUsed || isOver || !sessions.TryGetValue(session, out Kept? kept) || kept.IsAbsent) { return false; }
            foreach (VNodeId node in nodes)
            {
                if (changing[Mark(node)] > 0 || changedAt[Mark(node)] > sample) { return false; }
            }

            if (kept.Nodes.Count + nodes.Length <= MaxNodes)
            {
                foreach (VNodeId node in nodes) { kept.Nodes[node] = now; }
                return true;
            }

            // What is kept from here on, it is told behind this.
            upTo = now++;
            full = kept.IsFull ? null : kept;
            kept.IsFull = true;
        }

        full?.Keeper.Forget([], upTo);
        return false;
    }

    /// <summary>A session's client has forgotten VNodes that it was told before <paramref name="upTo"/>.</summary>
    /// <param name="session">Which.</param>
    /// <param name="nodes">What; empty: all.</param>
    /// <param name="upTo">As it was asked with.</param>
    public void Forgotten(SessionId session, IReadOnlyCollection<VNodeId> nodes, long upTo)
    {
        lock (gate)
        {
            if (!sessions.TryGetValue(session, out Kept? kept)) { return; }
            foreach (VNodeId node in nodes)
            {
                if (kept.Nodes.TryGetValue(node, out long at) && at <= upTo) { kept.Nodes.Remove(node); }
            }

            if (nodes.Count == 0)
            {
                foreach ((VNodeId node, long at) in kept.Nodes)
                {
                    if (at <= upTo) { kept.Nodes.Remove(node); }
                }

                kept.IsAbsent = false;
                kept.IsFull = false;
            }

            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Begins to change VNodes: none of them may be kept until <see cref="EndChange"/>.</summary>
    /// <returns>False: others than <paramref name="by"/> keep some of them. <see cref="WaitForOthers"/>, then decide anew.</returns>
    public bool BeginChange(SessionId by, IReadOnlyCollection<VNodeId> nodes)
    {
        lock (gate)
        {
            now++;
            foreach (VNodeId node in nodes)
            {
                changing[Mark(node)]++;
                changedAt[Mark(node)] = now;
            }

            return !IsKeptByOthers(by, nodes);
        }
    }

    /// <summary>VNodes were changed, or will not be.</summary>
    public void EndChange(IReadOnlyCollection<VNodeId> nodes)
    {
        lock (gate)
        {
            now++;
            foreach (VNodeId node in nodes)
            {
                changing[Mark(node)]--;
                changedAt[Mark(node)] = now;
            }
        }
    }

    /// <summary>Has all sessions but one forget VNodes that are about to change, and waits until they have, or are over. Never with the
    /// shard's gate held: who ends a session needs it.</summary>
    /// <returns>False: the drive is not served here any more.</returns>
    public bool WaitForOthers(SessionId by, IReadOnlyCollection<VNodeId> nodes)
    {
        List<(INodeKeeper Keeper, List<VNodeId> Nodes)> asked = [];
        long upTo;
        lock (gate)
        {
            upTo = now;
            foreach ((SessionId session, Kept kept) in sessions)
            {
                // Who is absent will have forgotten when it is here.
                if (session == by || kept.IsAbsent) { continue; }
                List<VNodeId> its = [.. nodes.Where(kept.Nodes.ContainsKey)];
                if (its.Count > 0) { asked.Add((kept.Keeper, its)); }
            }
        }

        foreach ((INodeKeeper keeper, List<VNodeId> its) in asked) { keeper.Forget(its, upTo); }
        using RequestThreads.Place place = RequestThreads.Leave();
        lock (gate)
        {
            while (!isOver && IsKeptByOthers(by, nodes)) { Monitor.Wait(gate); }
            return !isOver;
        }
    }

    /// <summary>Under the lock.</summary>
    private bool IsKeptByOthers(SessionId by, IReadOnlyCollection<VNodeId> nodes)
    {
        foreach ((SessionId session, Kept kept) in sessions)
        {
            if (session != by && kept.HasAny(nodes)) { return true; }
        }

        return false;
    }

    private static int Mark(VNodeId node) => (int)(node.Value % Marks);

    private sealed class Kept(INodeKeeper keeper)
    {
        public INodeKeeper Keeper => keeper;

        public Dictionary<VNodeId, long> Nodes { get; } = [];

        /// <summary>Nobody knows what it keeps.</summary>
        public bool IsAbsent { get; set; }

        /// <summary>It was asked to forget everything, and has not yet.</summary>
        public bool IsFull { get; set; }

        public bool HasAny(IReadOnlyCollection<VNodeId> nodes)
        {
            if (IsAbsent) { return true; }
            foreach (VNodeId node in nodes)
            {
                if (Nodes.ContainsKey(node)) { return true; }
            }

            return false;
        }
    }
}
