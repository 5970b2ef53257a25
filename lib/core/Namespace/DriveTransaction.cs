namespace KvFs.Core;

/// <summary>One transaction of a drive in the making: operations read and write it, then it becomes one batch.</summary>
/// <remarks>
/// Pure and not thread safe; the owner of the drive's shard keeps one and uses it again and again. In order:
/// (1) <see cref="Begin"/>; (2) any number of operations, each of which answers a <see cref="Status"/>; (3) if all
/// answered Ok, <see cref="Build"/>; the new <see cref="State"/> and <see cref="Counters"/> hold once the batch is in the
/// log. Otherwise it is forgotten: nothing was changed.
/// Versions: a record that a retained version still sees moves to history before it is overwritten or deleted; in a clone,
/// the delete of what an origin has leaves a whiteout. Source: docs/design.md, section 5.
/// </remarks>
public sealed class DriveTransaction : DriveView
{
    /// <summary>Bytes of a batch around a relative key and a payload: its own header, the RUID, the envelope.</summary>
    private const int RecordBatchBytes = 7 + DriveId.Size + RecordEnvelope.Overhead;

    private readonly PendingWrites pending = new();
    private readonly ByteBuffer payloadScratch = new(512);
    private readonly ByteBuffer raw = new(512);
    private readonly ByteBuffer envelope = new(512);
    private readonly List<CrowdedCluster> crowded = [];
    private readonly List<VNodeId> orphaned = [];
    private readonly HashSet<VNodeId> made = [];
    private readonly ClusterCache ownClusters = new(capacity: 1024);
    private readonly RecordBatch inherited = new();
    private ClusterCache? clusters;
    private IRecordReader? reader;
    private StoredDriveView? stored;
    private DriveState? state;
    private DriveState? storedState;
    private DriveCounters counters;
    private uint lastSequence;
    private int historyBytes;

    /// <summary>The counters alone are a change, too: they have a record of their own.</summary>
    private bool isUsageAdjusted;

    public DriveTransaction()
    {
        Blocks = new(this);
    }

    public override DriveId Drive => State.Drive;

    public override CowNumber At => CowNumber.Head;

    /// <summary>The drive's state; an operation that changes policy or retained versions sets it.</summary>
    public DriveState State
    {
        get
        {
            Invariant.Check(state is not null);
            return state;
        }

        set => state = value;
    }

    /// <summary>The drive's policy or its retained versions change, which readers see without their records: the driver decides nothing on
    /// top of it before it is committed.</summary>
    public bool ChangesState => !ReferenceEquals(state, storedState);

    public DriveCounters Counters => counters;

    /// <summary>The CoW number that this transaction will have.</summary>
    public CowNumber Cow { get; private set; }

    /// <summary>The time of the transaction: what it writes as mtime and ctime.</summary>
    public Timestamp Now { get; internal set; }

    /// <summary>Bytes and VNodes that other sessions have reserved and not yet used: they count as used.</summary>
    public Reservation ReservedByOthers { get; private set; }

    /// <summary>Bytes of records written so far: an operation that works in steps stops at a bound.</summary>
    public int PendingBytes => pending.ByteCount;

    public bool HasWrites => pending.Count > 0 || Blocks.HasChanges || inherited.Count > 0 || isUsageAdjusted;

    /// <summary>What the batch will have, at the most, but for records in history that were not told by
    /// <see cref="OnSuperseded"/>.</summary>
    public int BatchBytes =>
        pending.ByteCount + (pending.Count * RecordBatchBytes) + historyBytes + Blocks.BatchBytes + inherited.ByteCount;

    /// <summary>Whether an operation that works in steps should stop here.</summary>
    public bool IsStepFull => BatchBytes >= Limits.StepBytes;

    /// <summary>What refers to the drive's blocks.</summary>
    public BlockReferences Blocks { get; }

    /// <summary>Coverage of clusters from earlier transactions; null: records are read. The driver sets it once.</summary>
    public ClusterCache? Clusters
    {
        get => clusters;
        set
        {
            Invariant.Check(!HasWrites);
            clusters = value;
        }
    }

    /// <summary>The transaction left blocks dead: once it is durable the driver drops them from the store.</summary>
    public bool FreedBlocks { get; internal set; }

    /// <summary>Bytes of blocks that stay live, to which nothing refers any more since this transaction: what only a repack
    /// gives back. Known once it is built.</summary>
    public ulong LooseBytes { get; internal set; }

    /// <summary>Why an operation answered <see cref="Status.Busy"/>, if not for want of reserved ids: what the driver must do
    /// before it tries again.</summary>
    public Obstacle? Obstacle { get; internal set; }

    /// <summary>Clusters that this transaction leaves worth folding. Each is told now and then, not every time.</summary>
    public IReadOnlyList<CrowdedCluster> Crowded => crowded;

    /// <summary>VNodes that lost their last name in this transaction, but are held open.</summary>
    public IReadOnlyList<VNodeId> Orphaned => orphaned;

    /// <summary>Starts anew. <see cref="Status.Busy"/>: no CoW number is reserved (reserve, then try again), or the whole
    /// drive is being restored.</summary>
    /// <param name="driveState">The drive.</param>
    /// <param name="driveCounters">Its counters and ids.</param>
    /// <param name="records">What is in the log so far.</param>
    /// <param name="now">The time.</param>
    /// <param name="reservedByOthers">What others than the one who asks have set aside.</param>
    /// <param name="restores">The transaction is a step of <see cref="RestoreTree"/>: only that goes on meanwhile.</param>
    public Status Begin(
        DriveState driveState,
        DriveCounters driveCounters,
        IRecordReader records,
        Timestamp now,
        Reservation reservedByOthers = default,
        bool restores = false)
    {
        ArgumentNullException.ThrowIfNull(driveState);
        ArgumentNullException.ThrowIfNull(records);
        Forget();
        counters = driveCounters;
        if (counters.Next.Cow >= counters.Reserved.Cow) { return Status.Busy; }
        if (!restores && (driveState.Policy.Flags & DriveFlags.Restoring) != 0) { return Status.Busy; }
        state = driveState;
        if (!ReferenceEquals(storedState, driveState) || !ReferenceEquals(reader, records) || stored is null)
        {
            storedState = driveState;
            reader = records;
            stored = new(records, driveState, CowNumber.Head);
        }

        Cow = new(counters.Next.Cow);
        counters.Next = counters.Next with { Cow = counters.Next.Cow + 1 };
        counters.LastCow = Cow;
        Now = now;
        ReservedByOthers = reservedByOthers;
        return Status.Ok;
    }

    /// <summary>The drive at a retained version (or, for <see cref="CowNumber.Head"/>, as this transaction sees it).</summary>
    public DriveView ViewAt(CowNumber at)
    {
        Invariant.Check(reader is not null);
        return at == CowNumber.Head ? this : new StoredDriveView(reader, State, at);
    }

    /// <summary>What the drive inherits: its origins, without itself.</summary>
    internal DriveView ViewOfOrigins()
    {
        Invariant.Check(reader is not null);
        return new StoredDriveView(reader, State.Policy.Inherited);
    }

    /// <summary>The CoW number that wrote the oldest record of a key that the drive itself has, history and whiteouts
    /// included; false if it has none.</summary>
    internal bool TryGetOldest(ref RecordKey key, ByteBuffer scratch, out CowNumber written)
    {
        Invariant.Check(reader is not null);
        if (LayerReader.TryGetOldest(reader, Drive, ref key, scratch, out RecordHeader header))
        {
            written = header.Written;
            return true;
        }

        written = default;
        return false;
    }

    /// <summary>Puts a record that another drive wrote as it is, where this one has none: only for <see cref="Flatten"/>.
    /// </summary>
    internal void PutInherited(ref RecordKey key, CowNumber written, ReadOnlySpan<byte> payload)
    {
        RecordEnvelope.Write(written, whiteout: false, payload, envelope);
        inherited.Put(key.In(Drive), envelope.Span);
    }

    /// <summary>A buffer for what an operation reads of one record. Valid until the transaction is read or written again.
    /// </summary>
    internal ByteBuffer Scratch => payloadScratch;

    /// <summary>The next number that orders the slices of this transaction; from 1, because 0 is a base's.</summary>
    internal uint NextSequence() => ++lastSequence;

    /// <summary>Whether a present record that is overwritten or deleted now moves to history: then the blocks that it names
    /// stay referred to until that is reaped.</summary>
    public bool KeepsHistory(RecordHeader header) => !State.Retained.IsEmpty && header.Written <= State.LastRetained;

    /// <summary>A record of this many payload bytes will move to history: the batch will have it, too.</summary>
    internal void OnSuperseded(int payloadBytes) =>
        historyBytes += payloadBytes + RecordEnvelope.Overhead + RecordBatchBytes + RecordKey.MaxBytes / 4;

    internal void OnCrowded(CrowdedCluster cluster) => crowded.Add(cluster);

    /// <summary>A VNode is new: the store has no record of it. The first cluster of a file is known to be empty, also to later
    /// transactions: a walk over stored records costs more than all else of a small file.</summary>
    internal void OnMade(VNodeId id, VNodeKind kind)
    {
        made.Add(id);
        if (kind == VNodeKind.File) { (clusters ?? ownClusters).Add(Drive, id, 0, new(), isUncertain: true); }
    }

    internal void OnOrphaned(VNodeId id) => orphaned.Add(id);

    /// <summary>The coverage of a cluster, this transaction's own slices included.</summary>
    internal ClusterCoverage CoverageOf(VNodeId node, uint cluster)
    {
        ClusterCache cache = clusters ?? ownClusters;
        ClusterCoverage? coverage = cache.Find(Drive, node, cluster);
        if (coverage is not null) { return coverage; }
        coverage = made.Contains(node) ? LoadOfMade(node, cluster) : CoverageLoader.Load(this, node, cluster);
        cache.Add(Drive, node, cluster, coverage, isUncertain: HasWrites);
        return coverage;
    }

    /// <summary>The coverage that <see cref="CoverageOf"/> lent was changed.</summary>
    internal void OnCoverageChanged(VNodeId node, uint cluster) =>
        (clusters ?? ownClusters).OnChanged(Drive, node, cluster);

    /// <summary>Slice records of a cluster were changed in another way than the coverage can follow.</summary>
    internal void ForgetCoverage(VNodeId node, uint cluster) =>
        (clusters ?? ownClusters).Forget(Drive, node, cluster);

    /// <summary>Takes the next VNode id. <see cref="Status.Busy"/>: none is reserved.</summary>
    public Status AllocateVNode(out VNodeId id) => AllocateVNodes(1, out id);

    /// <summary>Takes a run of VNode ids. <see cref="Status.Busy"/>: not that many are reserved.</summary>
    public Status AllocateVNodes(uint count, out VNodeId first)
    {
        first = new(counters.Next.VNode);
        if (first.Value + count > counters.Reserved.VNode) { return Status.Busy; }
        counters.Next = counters.Next with { VNode = first.Value + count };
        return Status.Ok;
    }

    /// <summary>Takes a run of block ids. <see cref="Status.Busy"/>: not that many are reserved.</summary>
    public Status AllocateBlocks(uint count, out BlockId first)
    {
        first = new(counters.Next.Block);
        if (first.Value + count > counters.Reserved.Block) { return Status.Busy; }
        counters.Next = counters.Next with { Block = first.Value + count };
        return Status.Ok;
    }

    /// <summary>Takes the next session id. <see cref="Status.Busy"/>: none is reserved.</summary>
    public Status AllocateSession(out SessionId id)
    {
        id = new(counters.Next.Session);
        if (id.Value >= counters.Reserved.Session) { return Status.Busy; }
        counters.Next = counters.Next with { Session = id.Value + 1 };
        return Status.Ok;
    }

    /// <summary>Charges (or gives back) bytes. <see cref="Status.NoSpace"/> if the drive's quota would be exceeded.</summary>
    public Status ChargeBytes(long delta)
    {
        if (delta > 0 && Exceeds(counters.UsedBytes, ReservedByOthers.Bytes, (ulong)delta, State.Policy.QuotaBytes))
        {
            return Status.NoSpace;
        }

        Invariant.Check(delta >= 0 || counters.UsedBytes >= (ulong)-delta);
        counters.UsedBytes = (ulong)((long)counters.UsedBytes + delta);
        return Status.Ok;
    }

    /// <summary>Charges (or gives back) VNodes. <see cref="Status.NoInodes"/> if the quota would be exceeded.</summary>
    public Status ChargeInodes(int delta)
    {
        if (delta > 0 && Exceeds(counters.UsedInodes, ReservedByOthers.Inodes, (ulong)delta, State.Policy.QuotaInodes))
        {
            return Status.NoInodes;
        }

        Invariant.Check(delta >= 0 || counters.UsedInodes >= (ulong)-delta);
        counters.UsedInodes = (ulong)((long)counters.UsedInodes + delta);
        return Status.Ok;
    }

    /// <summary>Changes the counters without regard to quotas: for what brings them to what the records say.</summary>
    internal void AdjustUsage(long bytes, long inodes)
    {
        counters.UsedBytes = checked((ulong)((long)counters.UsedBytes + bytes));
        counters.UsedInodes = checked((ulong)((long)counters.UsedInodes + inodes));
        isUsageAdjusted = true;
    }

    public override bool TryGet(ref RecordKey key, ByteBuffer payload, out RecordHeader header)
    {
        ArgumentNullException.ThrowIfNull(payload);
        int at = pending.Count == 0 ? -1 : pending.Find(key.Relative);
        if (at < 0) { return Stored.TryGet(ref key, payload, out header); }
        header = new(Cow, Whiteout: false);
        payload.Set(pending.Payload(at));
        return !pending.IsDelete(at);
    }

    public override DriveCursor Walk(RecordKey from, RecordKey to)
    {
        DriveCursor below = Stored.Walk(from, to);
        return pending.Count == 0 ? below : new MergedCursor(new PendingCursor(pending, Cow, from, to), below);
    }

    /// <summary>Writes a record.</summary>
    public void Put(ref RecordKey key, ReadOnlySpan<byte> payload) => pending.Put(key.Relative, payload);

    /// <summary>Writes a slice record: only for <see cref="SliceWriter"/>.</summary>
    internal void PutSlice(ref RecordKey key, Slice slice, ReadOnlySpan<byte> inline)
    {
        slice.Encode(inline, payloadScratch);
        Put(ref key, payloadScratch.Span);
    }

    /// <summary>Deletes a record, if there is one.</summary>
    public void Delete(ref RecordKey key) => pending.Delete(key.Relative);

    public void PutVNode(VNodeId id, in VNode vnode)
    {
        RecordKey key = RecordKey.VNode(id);
        Span<byte> payload = stackalloc byte[VNode.PayloadBytes];
        vnode.Encode(payload);
        Put(ref key, payload);
    }

    public void PutDentry(VNodeId parent, ReadOnlySpan<byte> name, in Dentry dentry)
    {
        RecordKey key = RecordKey.Dentry(parent, name);
        Span<byte> payload = stackalloc byte[Dentry.PayloadBytes];
        dentry.Encode(payload);
        Put(ref key, payload);
    }

    public void DeleteDentry(VNodeId parent, ReadOnlySpan<byte> name)
    {
        RecordKey key = RecordKey.Dentry(parent, name);
        Delete(ref key);
    }

    /// <summary>Turns what was written into puts and deletes of stored records, history included.</summary>
    /// <remarks>Keys are in ascending order but for the history records, which precede what they save.</remarks>
    public void Build(RecordBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        Blocks.Flush();
        batch.Append(inherited);
        clusters?.Accept();
        for (int at = 0; at < pending.Count; at++)
        {
            RecordKey key = RecordKey.FromRelative(pending.Key(at));
            bool versioned = RecordKey.IsVersioned(key.Relative);
            if (versioned) { SaveHistory(ref key, batch); }
            bool whiteout = versioned && pending.IsDelete(at) && OriginHas(ref key);
            if (pending.IsDelete(at) && !whiteout)
            {
                batch.Delete(key.In(Drive));
                continue;
            }

            RecordEnvelope.Write(Cow, whiteout, pending.Payload(at), envelope);
            batch.Put(key.In(Drive), envelope.Span);
        }

        Span<byte> usage = stackalloc byte[DriveCounters.PayloadBytes];
        counters.EncodeUsage(usage);
        RecordKey usageKey = RecordKey.Single(RecordKind.Usage);
        RecordEnvelope.Write(Cow, whiteout: false, usage, envelope);
        batch.Put(usageKey.In(Drive), envelope.Span);
    }

    /// <summary>What the last transaction did and did not build never happened.</summary>
    private void Forget()
    {
        pending.Clear();
        Blocks.Clear();
        crowded.Clear();
        orphaned.Clear();
        made.Clear();
        clusters?.Rollback();
        ownClusters.Clear();
        inherited.Clear();
        isUsageAdjusted = false;
        Obstacle = null;
        FreedBlocks = false;
        LooseBytes = 0;
        lastSequence = 0;
        historyBytes = 0;
    }

    /// <summary>Asks nobody but this transaction.</summary>
    private ClusterCoverage LoadOfMade(VNodeId node, uint cluster)
    {
        RecordKey from = RecordKey.SlicesFrom(node, cluster);
        RecordKey end = from;
        end.ToPrefixEnd();
        using PendingCursor cursor = new(pending, Cow, from, end);
        return CoverageLoader.Load(this, cursor);
    }

    private StoredDriveView Stored
    {
        get
        {
            Invariant.Check(stored is not null);
            return stored;
        }
    }

    private static bool Exceeds(ulong used, ulong reserved, ulong delta, ulong quota) =>
        quota != 0 && (UInt128)used + reserved + delta > quota;

    private void SaveHistory(ref RecordKey key, RecordBatch batch)
    {
        Invariant.Check(reader is not null);
        if (State.Retained.IsEmpty || !reader.TryGet(key.In(Drive), raw)) { return; }
        LayerReader.Open(key.In(Drive), raw.Span, out RecordHeader header, out _);
        if (header.Written > State.LastRetained) { return; }
        RecordKey history = RecordKey.History(key.Relative, Cow);
        batch.Put(history.In(Drive), raw.Span);
    }

    private bool OriginHas(ref RecordKey key)
    {
        Invariant.Check(reader is not null);
        foreach (DriveLayer origin in State.Policy.Inherited)
        {
            if (LayerReader.TryGet(reader, origin, ref key, payloadScratch, out RecordHeader header, out _))
            {
                return !header.Whiteout;
            }
        }

        return false;
    }
}

/// <summary>Bytes and VNodes that are set aside.</summary>
public readonly record struct Reservation(ulong Bytes, ulong Inodes);
