namespace KvFs.Core;

/// <summary>Which of the other nodes were heard, when, as which process; and what their acknowledgements are good for.</summary>
/// <remarks>
/// Pure, not thread safe: the node's loop owns it. Times are of this node's clock, which goes on while the machine sleeps.
/// <para>A primary's lease: it begins when a beacon was <em>sent</em>, and each in-sync replica must have acknowledged it. A
/// replica's promise begins when it acknowledges, which is later; so a successor that waits for a lease and a margin from its
/// own last acknowledgement begins after the lease has ended. An acknowledgement by who knows a newer map counts only once
/// that map is known here: it may say that the reign is over.</para>
/// </remarks>
public sealed class PeerTable(ReplicationTimes times)
{
    /// <summary>Beacons whose sending times are remembered; older ones are too old for a lease.</summary>
    private const int RememberedBeacons = 16;

    private readonly SortedDictionary<NodeId, Peer> peers = [];
    private readonly SortedDictionary<NodeId, DiskCondition> disks = [];
    private readonly SortedSet<NodeId> leaving = [];
    private readonly TimeSpan[] sentAt = new TimeSpan[RememberedBeacons];
    private ulong sent;

    /// <summary>The nodes that were told of, ascending.</summary>
    public IEnumerable<NodeId> Nodes => peers.Keys;

    /// <summary>Takes note of a node; it counts as heard now.</summary>
    public void Add(PoolMember member, TimeSpan now)
    {
        if (!peers.ContainsKey(member.Node)) { peers.Add(member.Node, new() { Disk = member.Disk, Heard = now }); }
    }

    public void Remove(NodeId node)
    {
        peers.Remove(node);
        disks.Remove(node);
        leaving.Remove(node);
    }

    /// <summary>How the disk of a node is, this one or another.</summary>
    public void OnDisk(NodeId node, DiskCondition condition) => disks[node] = condition;

    /// <summary>How the disk of a node is, as far as it said so.</summary>
    public DiskCondition DiskOf(NodeId node) => disks.GetValueOrDefault(node);

    /// <summary>Whether a node's disk can be counted on, as far as it said so.</summary>
    public bool HasFineDisk(NodeId node) => DiskOf(node) == DiskCondition.Fine;

    /// <summary>Whether a node, this one or another, is about to stop. Another process of it is not.</summary>
    public void OnLeaving(NodeId node, bool isLeaving)
    {
        if (isLeaving) { leaving.Add(node); }
        else { leaving.Remove(node); }
    }

    /// <summary>Whether a node is about to stop, as far as it said so: it is given nothing any more.</summary>
    public bool IsLeaving(NodeId node) => leaving.Contains(node);

    /// <summary>Whether all others that were heard lately have said that they know the pool map up to a revision.</summary>
    public bool AllKnow(ulong revision, TimeSpan now) =>
        peers.Values.All(peer => peer.Known >= revision || now - peer.Heard >= times.Lease);

    /// <summary>The newest revision of the pool map that one of those that were heard lately has said it knows; 0: none has said so.</summary>
    public ulong NewestKnown(TimeSpan now) =>
        peers.Values.Where(peer => now - peer.Heard < times.Suspicion).Select(static peer => peer.Known).DefaultIfEmpty().Max();

    /// <summary>Takes the number of the next beacon, which is sent now.</summary>
    public ulong Send(TimeSpan now)
    {
        sent++;
        sentAt[sent % RememberedBeacons] = now;
        return sent;
    }

    /// <summary>Something came from a node.</summary>
    /// <returns>False: of a process of it that is over.</returns>
    public bool OnHeard(NodeId node, BootId boot, TimeSpan now)
    {
        if (!peers.TryGetValue(node, out Peer? peer) || boot < peer.Boot) { return false; }
        if (boot > peer.Boot)
        {
            peer.Boot = boot;
            peer.BootHeard = now;
            peer.Acked = default;
            peer.Waiting = default;
            peer.WaitingRevision = 0;
            peer.Known = 0;
            leaving.Remove(node);
        }

        peer.Heard = now;
        return true;
    }

    /// <summary>This node itself stood still for a while: that it heard nothing meanwhile says nothing of the others.</summary>
    public void OnStalled(TimeSpan pause)
    {
        foreach (Peer peer in peers.Values) { peer.Heard += pause; }
    }

    /// <summary>A beacon of this node was acknowledged.</summary>
    public void OnAck(NodeId node, BeaconAck ack, ulong knownRevision)
    {
        ArgumentNullException.ThrowIfNull(ack);
        if (!peers.TryGetValue(node, out Peer? peer)) { return; }
        if (ack.Revision > peer.Known) { peer.Known = ack.Revision; }
        if (ack.Number > sent || ack.Number + RememberedBeacons <= sent) { return; }
        TimeSpan began = sentAt[ack.Number % RememberedBeacons];
        if (ack.Revision <= knownRevision)
        {
            peer.Acked = Later(peer.Acked, began);
        }
        else if (began >= peer.Waiting)
        {
            peer.Waiting = began;
            peer.WaitingRevision = ack.Revision;
        }
    }

    /// <summary>The pool map is known up to a revision: acknowledgements that waited for it count.</summary>
    public void OnRevision(ulong revision)
    {
        foreach (Peer peer in peers.Values)
        {
            if (peer.WaitingRevision == 0 || peer.WaitingRevision > revision) { continue; }
            peer.Acked = Later(peer.Acked, peer.Waiting);
            peer.WaitingRevision = 0;
        }
    }

    /// <summary>This node acknowledges a beacon now.</summary>
    public void OnAcking(NodeId node, TimeSpan now)
    {
        if (peers.TryGetValue(node, out Peer? peer)) { peer.Promised = now; }
    }

    /// <summary>The process that a node is now, as far as it was heard; 0: it was not.</summary>
    public BootId BootOf(NodeId node) => peers.TryGetValue(node, out Peer? peer) ? peer.Boot : default;

    /// <summary>A node as the process that it is now.</summary>
    public InSyncReplica ReplicaOf(NodeId node) =>
        peers.TryGetValue(node, out Peer? peer) ? new(node, peer.Disk, peer.Boot) : new(node, default, default);

    /// <summary>Whether a process of a node is surely over: another one of it was heard.</summary>
    public bool IsOver(InSyncReplica replica) => BootOf(replica.Node) > replica.Boot;

    /// <summary>Whether a node was not heard for so long that it is suspected.</summary>
    public bool IsSilent(NodeId node, TimeSpan now) =>
        SilentFor(node, now) >= times.Suspicion;

    /// <summary>How long nothing was heard of a node; of one that was never told of, for ever.</summary>
    public TimeSpan SilentFor(NodeId node, TimeSpan now) =>
        peers.TryGetValue(node, out Peer? peer) ? now - peer.Heard : TimeSpan.MaxValue;

    /// <summary>Since when a process of a node is gone, over or silent; null: it is not.</summary>
    public TimeSpan? GoneSince(InSyncReplica replica, TimeSpan now)
    {
        if (!peers.TryGetValue(replica.Node, out Peer? peer)) { return TimeSpan.Zero; }
        if (peer.Boot > replica.Boot) { return peer.BootHeard; }
        return now - peer.Heard >= times.Suspicion ? peer.Heard + times.Suspicion : null;
    }

    /// <summary>Until when a process of a node leaves this one the lease; default: it never did.</summary>
    public TimeSpan LeaseFrom(InSyncReplica replica) =>
        peers.TryGetValue(replica.Node, out Peer? peer) && peer.Boot == replica.Boot && peer.Acked > TimeSpan.Zero
            ? peer.Acked + times.Lease
            : default;

    /// <summary>From when on a node's lease, if it ever was a primary, has surely ended, if this node was in sync with it.
    /// </summary>
    public TimeSpan LeaseOver(NodeId node) =>
        peers.TryGetValue(node, out Peer? peer) && peer.Promised > TimeSpan.Zero
            ? peer.Promised + times.Lease + times.Margin
            : default;

    private static TimeSpan Later(TimeSpan left, TimeSpan right) => left > right ? left : right;

    private sealed class Peer
    {
        public DiskId Disk { get; init; }

        public BootId Boot { get; set; }

        /// <summary>When it was first heard as that process.</summary>
        public TimeSpan BootHeard { get; set; }

        /// <summary>When something came from it.</summary>
        public TimeSpan Heard { get; set; }

        /// <summary>When the last beacon that it acknowledged was sent.</summary>
        public TimeSpan Acked { get; set; }

        /// <summary>The same, with a revision that this node did not know yet.</summary>
        public TimeSpan Waiting { get; set; }

        public ulong WaitingRevision { get; set; }

        /// <summary>The newest revision of the pool map that it said it knows.</summary>
        public ulong Known { get; set; }

        /// <summary>When this node last acknowledged a beacon of it.</summary>
        public TimeSpan Promised { get; set; }
    }
}
