using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Drives;

/// <summary>Which files of a drive have their writes left with a session: what its client has answered may be in its memory only. The records say
/// the same; here it is asked for before each request.</summary>
/// <remarks>
/// Thread safe; its lock is the innermost. Who reads or changes a file on behalf of another session first has it given back
/// (<see cref="Settle"/>). A file that was not left with anybody when a request began needs no more: what is written under a delegation that
/// began later is written at the same time. Of what a request finds by name, that is only known behind it: a <see cref="Sample"/> from before
/// tells whether it was given back meanwhile. Marks of that are kept by hash: a collision only has somebody read again.
/// <para>What the node itself does to a file, in nobody's name, changes nothing that anybody sees, and asks nobody.</para>
/// </remarks>
public sealed class WriteDelegations
{
    /// <summary>Files of one session: more than its client can have data of.</summary>
    public const int MaxFiles = 16 << 10;

    private const int Marks = 1 << 12;

    // Not a Lock: who waits for a file waits for pulses of it.
    private readonly object gate = new();
    private readonly Dictionary<VNodeId, (SessionId Session, long At)> owners = [];
    private readonly Dictionary<SessionId, Holder> holders = [];
    private readonly Dictionary<VNodeId, (long At, Status Why)> refused = [];
    private readonly long[] returnedAt = new long[Marks];
    private long now;
    private int pauses;
    private bool isOver;

    /// <summary>Files whose writes are left with somebody.</summary>
    public int Count
    {
        get
        {
            lock (gate) { return owners.Count; }
        }
    }

    /// <summary>Names who is asked for what a session has. What it was to be asked for already, it is.</summary>
    public void Add(SessionId session, ISessionRecall recall)
    {
        Asking? asking;
        lock (gate)
        {
            Holder holder = HolderOf(session);
            holder.Recall = recall;
            asking = Ask(session, holder, [.. holder.Asked.Keys]);
        }

        asking?.Run();
    }

    /// <summary>Nothing more is left with anybody until this is disposed: what is there is a cut in time.</summary>
    public IDisposable Pause()
    {
        lock (gate) { pauses++; }
        return new Pausing(this);
    }

    /// <summary>Whether a session may be left one more.</summary>
    public bool HasRoom(SessionId session)
    {
        lock (gate) { return pauses == 0 && (!holders.TryGetValue(session, out Holder? holder) || holder.Files.Count < MaxFiles); }
    }

    /// <summary>A file's writes are left with a session. With the shard's gate held, or before anybody knows the drive.</summary>
    public void Leave(VNodeId node, SessionId session)
    {
        lock (gate)
        {
            owners[node] = (session, ++now);
            HolderOf(session).Files.Add(node);
        }
    }

    /// <summary>A session has given files back. With the shard's gate held.</summary>
    public void Take(SessionId session, IReadOnlyCollection<VNodeId> nodes)
    {
        lock (gate)
        {
            now++;
            foreach (VNodeId node in nodes)
            {
                if (owners.TryGetValue(node, out (SessionId Session, long At) left) && left.Session == session) { Remove(node, holders[session]); }
            }

            Monitor.PulseAll(gate);
        }
    }

    /// <summary>A session is ending: its own requests wait for nobody any more.</summary>
    public void OnEnding(SessionId session)
    {
        lock (gate)
        {
            HolderOf(session).IsEnding = true;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>A session has ended, with all that was sent in its name: nothing that it had answered comes any more.</summary>
    public void End(SessionId session)
    {
        lock (gate)
        {
            if (!holders.Remove(session, out Holder? holder)) { return; }
            now++;
            foreach (VNodeId node in holder.Files.ToArray()) { Remove(node, holder); }
            Monitor.PulseAll(gate);
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

    /// <summary>What <see cref="IsSettled"/> needs of before something is read.</summary>
    public long Sample()
    {
        lock (gate) { return now; }
    }

    /// <summary>Whether nothing is left with anybody but one session.</summary>
    public bool HasNoOthers(SessionId by)
    {
        lock (gate) { return owners.Count == 0 || (holders.TryGetValue(by, out Holder? own) && own.Files.Count == owners.Count); }
    }

    /// <summary>Whether a session sees a file as it is: it is left with no other, and was not given back since a sample.</summary>
    public bool IsSettled(SessionId by, VNodeId node, long sample)
    {
        lock (gate) { return !IsOthers(by, node) && returnedAt[Mark(node)] <= sample; }
    }

    /// <summary>Whether a file is left with another session.</summary>
    public bool HasOther(SessionId by, VNodeId node)
    {
        lock (gate) { return IsOthers(by, node); }
    }

    /// <summary>Whether some of them are left with others.</summary>
    public bool HasOthers(SessionId by, IReadOnlyCollection<VNodeId> nodes)
    {
        lock (gate) { return owners.Count > 0 && nodes.Any(node => IsOthers(by, node)); }
    }

    /// <summary>Has other sessions give files back, and waits until they have, or are over. Never with the shard's gate held.</summary>
    /// <remarks>What is left with somebody anew meanwhile is not waited for: that began later than the request.</remarks>
    /// <returns>Ok; StaleEpoch: the drive is not served here any more; SessionExpired: the session that asks is ending; or why a client could not
    /// commit what it has.</returns>
    public Status Settle(SessionId by, IReadOnlyCollection<VNodeId> nodes)
    {
        if (!HasOthers(by, nodes)) { return Status.Ok; }
        return SettleFiles(by, () => nodes.Where(node => IsOthers(by, node)));
    }

    /// <summary>The same for all that is left with anybody.</summary>
    public Status SettleAll() => SettleFiles(default, () => owners.Keys);

    private Status SettleFiles(SessionId by, Func<IEnumerable<VNodeId>> find)
    {
        List<Asking> asked = [];
        List<(VNodeId Node, long At)> waited = [];
        long began;
        lock (gate)
        {
            began = now;
            foreach (IGrouping<SessionId, VNodeId> its in find().GroupBy(node => owners[node].Session))
            {
                // Who has been asked, or cannot be yet, is told once.
                Holder holder = holders[its.Key];
                waited.AddRange(its.Select(node => (node, owners[node].At)));
                if (Ask(its.Key, holder, [.. its.Where(node => !holder.Asked.ContainsKey(node))]) is { } asking) { asked.Add(asking); }
            }
        }

        foreach (Asking asking in asked) { asking.Run(); }
        using RequestThreads.Place place = RequestThreads.Leave();
        lock (gate)
        {
            while (true)
            {
                if (isOver) { return Status.StaleEpoch; }
                waited.RemoveAll(one => !owners.TryGetValue(one.Node, out (SessionId Session, long At) left) || left.At != one.At);
                if (waited.Count == 0) { return Status.Ok; }
                if (holders.TryGetValue(by, out Holder? own) && own.IsEnding) { return Status.SessionExpired; }
                foreach ((VNodeId node, _) in waited)
                {
                    if (refused.TryGetValue(node, out (long At, Status Why) refusal) && refusal.At > began) { return refusal.Why; }
                }

                Monitor.Wait(gate);
            }
        }
    }

    /// <summary>Notes that a session is asked for files; whom to ask, if there is somebody. Under the lock.</summary>
    private Asking? Ask(SessionId session, Holder holder, List<VNodeId> nodes)
    {
        if (nodes.Count == 0) { return null; }
        long number = ++now;
        foreach (VNodeId node in nodes) { holder.Asked[node] = number; }
        return holder.Recall is { } recall ? new(this, session, recall, nodes, number) : null;
    }

    /// <summary>A session's client cannot commit what it has of files, for now: who waits for them hears why.</summary>
    private void Refuse(SessionId session, List<VNodeId> nodes, long number, Status why)
    {
        lock (gate)
        {
            if (!holders.TryGetValue(session, out Holder? holder) || holder.IsEnding) { return; }
            now++;
            foreach (VNodeId node in nodes)
            {
                // It may have been given back, left with the session again, and asked for again.
                if (holder.Asked.GetValueOrDefault(node) != number) { continue; }
                holder.Asked.Remove(node);
                refused[node] = (now, why);
            }

            Monitor.PulseAll(gate);
        }
    }

    private void GoOn()
    {
        lock (gate) { pauses--; }
    }

    /// <summary>Under the lock. What the node does is nobody's.</summary>
    private bool IsOthers(SessionId by, VNodeId node) =>
        by != default && owners.TryGetValue(node, out (SessionId Session, long At) left) && left.Session != by;

    /// <summary>Under the lock.</summary>
    private Holder HolderOf(SessionId session)
    {
        if (!holders.TryGetValue(session, out Holder? holder)) { holders.Add(session, holder = new()); }
        return holder;
    }

    /// <summary>Under the lock.</summary>
    private void Remove(VNodeId node, Holder holder)
    {
        owners.Remove(node);
        holder.Files.Remove(node);
        holder.Asked.Remove(node);
        refused.Remove(node);
        returnedAt[Mark(node)] = now;
    }

    private static int Mark(VNodeId node) => (int)(node.Value % Marks);

    private sealed class Holder
    {
        /// <summary>Null: nobody speaks for it yet.</summary>
        public ISessionRecall? Recall { get; set; }

        public HashSet<VNodeId> Files { get; } = [];

        /// <summary>What its client was asked for, and has not answered, and when it was.</summary>
        public Dictionary<VNodeId, long> Asked { get; } = [];

        public bool IsEnding { get; set; }
    }

    private sealed class Pausing(WriteDelegations all) : IDisposable
    {
        private int isDone;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref isDone, 1) == 0) { all.GoOn(); }
        }
    }

    /// <summary>A session is to be asked for files.</summary>
    private sealed class Asking(WriteDelegations all, SessionId session, ISessionRecall recall, List<VNodeId> nodes, long number)
    {
        /// <summary>Not on this thread: who speaks for a client of this process commits on the thread that it is asked on.</summary>
        public void Run() => _ = Task.Run(async () =>
        {
            Status status;
            try
            {
                status = await recall.ReturnAsync(nodes);
            }
            catch (Exception e) when (e is not InvariantException)
            {
                status = Status.IoError;
            }

            // What it has given back is nobody's by now; of the rest it cannot say that all is well. One that ends has more to say.
            if (status != Status.SessionExpired) { all.Refuse(session, nodes, number, status == Status.Ok ? Status.IoError : status); }
        });
    }
}
