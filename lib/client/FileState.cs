using KvFs.Core;

namespace KvFs.Client;

/// <summary>What a client knows of one VNode at one version: its open handles, dirty data, cached maps,
/// errors.</summary>
/// <remarks>Two locks guard it. <see cref="Gate"/>: all but <see cref="Batches"/>; held for moments, never across a
/// call of the session. The flusher's order lock: <see cref="Batches"/>. Order of locks: the flusher's, then the gate,
/// then those of memory, quota and queues.</remarks>
internal sealed class FileState
{
    private readonly Signal turn = new();
    private readonly bool isShared;
    private NodeInfo info;

    public FileState(
        VNodeId id, CowNumber at, in NodeInfo info, DirtyMemory memory, QuotaKeeper quota, MapBudget budget, bool isShared)
    {
        this.isShared = isShared;
        Id = id;
        At = at;
        this.info = info;
        Dirty = new(memory, quota);
        Maps = new(budget);
    }

    public VNodeId Id { get; }

    public CowNumber At { get; }

    public bool IsHead => At == CowNumber.Head;

    public Lock Gate { get; } = new();

    /// <summary>The VNode as the session last told it; newest version wins.</summary>
    public NodeInfo Info => info;

    public DirtyMap Dirty { get; }

    public MapCache Maps { get; }

    /// <summary>Handles that are open.</summary>
    public int Opens { get; set; }

    /// <summary>Operations on it without a handle.</summary>
    public int Pins { get; set; }

    /// <summary>Holds that the session counts for this client.</summary>
    public int Holds { get; set; }

    /// <summary>The client has let go of it: whoever still has a reference looks it up anew.</summary>
    public bool IsEvicted { get; set; }

    /// <summary>It waits among the closed files to be let go.</summary>
    public bool IsListedClosed { get; set; }

    /// <summary>The VNode is gone: what is dirty has nowhere to go, and that is no error.</summary>
    public bool IsRemoved { get; private set; }

    /// <summary>When its oldest dirty byte was written: a timestamp of the time provider.</summary>
    public long DirtySince { get; set; }

    /// <summary>It is in the flusher's list of dirty files.</summary>
    public bool IsListedDirty { get; set; }

    /// <summary>It is in the flusher's list of files with full segments.</summary>
    public bool IsListedFull { get; set; }

    /// <summary>When the last of the dirty bytes was written; none if a later setattr set the times itself.</summary>
    public Timestamp? WriteTime { get; set; }

    /// <summary>Set-id bits go with the next commit.</summary>
    public bool KillSetId { get; set; }

    /// <summary>Attributes that go with the next commit.</summary>
    public KeptAttributes Kept { get; } = new();

    /// <summary>Batches that captured data of this file and are not done, in the order in which they must
    /// commit.</summary>
    public List<FlushBatch> Batches { get; } = [];

    /// <summary>The number of the last batch that was durable with its commit; under the order lock.</summary>
    public ulong DurableBatch { get; set; }

    /// <summary>Raised under the flusher's order lock whenever a batch of this file is done or fails.</summary>
    public Signal BatchEnded { get; } = new();

    /// <summary>Rises with every failed flush; a handle reports it once.</summary>
    public int ErrorSequence { get; private set; }

    public Status LastError { get; private set; }

    /// <summary>Whether some handle has reported the last error.</summary>
    public bool IsErrorSeen { get; set; } = true;

    /// <summary>Somebody changes the whole file: writes and captures wait.</summary>
    public bool IsExclusive { get; private set; }

    /// <summary>Of a drive that is shared: the file's writes are left with the session.</summary>
    public bool IsDelegated { get; set; }

    /// <summary>Writes may be answered from memory.</summary>
    public bool MayBuffer => !isShared || IsDelegated;

    /// <summary>A write of it was committed before it was answered, since it was last left with the session.</summary>
    public bool WasWrittenThrough { get; set; }

    /// <summary>Writes of it that are being committed before they are answered.</summary>
    public int ThroughWrites { get; set; }

    /// <summary>Its writes are being given back.</summary>
    public bool IsReturning { get; set; }

    /// <summary>From when on its writes may be asked for: a timestamp of the time provider.</summary>
    public long DelegateFrom { get; set; }

    /// <summary>The size that readers see.</summary>
    public ulong Size => Math.Max(info.VNode.Size, Dirty.End);

    public bool IsDirty => !Dirty.IsEmpty || !Kept.IsEmpty;

    public void AddError(Status status)
    {
        ErrorSequence++;
        LastError = status;
        IsErrorSeen = false;
    }

    /// <summary>The VNode is gone, or goes now: what is dirty of it has nowhere to go.</summary>
    public void MarkRemoved()
    {
        IsRemoved = true;
        Dirty.DropOpen();

        // No commit will bring it along; whoever has a handle sees it all the same.
        VNode node = info.VNode;
        Kept.Show(ref node);
        Kept.Drop();
        info = info with { VNode = node };
    }

    /// <summary>Takes an answer of the session over, unless it is older than what is known.</summary>
    public void Learn(in NodeInfo answer)
    {
        if (answer.Version < info.Version) { return; }
        if (answer.VNode.DataVersion != info.VNode.DataVersion) { Maps.Clear(); }
        info = answer;
    }

    /// <summary>Takes the answer to a commit over, of which <see cref="Maps"/> knows already.</summary>
    public void LearnCommitted(in NodeInfo answer)
    {
        if (answer.Version >= info.Version) { info = answer; }
    }

    /// <summary>Takes the answer to a change of size or times over: it outlasts the writes before. The VNode with what is
    /// dirty merged into it.</summary>
    /// <param name="size">The new size; null: only attributes changed.</param>
    /// <param name="answer">The session's.</param>
    /// <param name="setsModifyTime">The change outlasts the time of the writes before it.</param>
    public NodeInfo LearnCut(ulong? size, in NodeInfo answer, bool setsModifyTime)
    {
        if (size is { } end)
        {
            Maps.Clear();
            Dirty.DropFrom(end);
        }

        Learn(answer);
        if (setsModifyTime)
        {
            WriteTime = null;
            Kept.OnCut();
        }

        return Merged();
    }

    /// <summary>Data was written.</summary>
    public void NoteWritten(Timestamp now, bool killSetId)
    {
        WriteTime = now;
        KillSetId |= killSetId;
        Kept.OnWritten();
    }

    /// <summary>Takes a change of attributes into memory, if it may wait for data that will be committed anyway.</summary>
    /// <param name="change">What to change.</param>
    /// <param name="now">The present time.</param>
    /// <param name="info">The VNode afterwards.</param>
    /// <returns>False: it is the session's to make.</returns>
    public bool TryKeep(in SetAttributesRequest change, Timestamp now, out NodeInfo info)
    {
        info = default;
        bool waits = IsHead && !IsExclusive && !IsRemoved && Dirty.OpenBytes > 0;
        if (!waits || !KeptAttributes.CanKeep(change, this.info.VNode)) { return false; }
        VNode node = Merged().VNode;
        SetAttributes.ApplyPlain(change, now, ref node);
        Kept.Keep(change, node);

        // Both are in what is kept from now on.
        if (KeptAttributes.SetsModifyTime(change)) { WriteTime = null; }
        if ((change.Mask & KeptAttributes.Owners) != 0) { KillSetId = false; }
        info = Merged();
        return true;
    }

    /// <summary>The VNode with what is dirty merged into it.</summary>
    public NodeInfo Merged()
    {
        if (Dirty.IsEmpty && Kept.IsEmpty) { return info; }
        VNode node = info.VNode;
        Kept.Show(ref node);
        node.AllocatedBytes += EstimateGrowth();
        node.Size = Math.Max(node.Size, Dirty.End);
        if (WriteTime is { } written)
        {
            node.ModifyTime = written;
            node.ChangeTime = written > node.ChangeTime ? written : node.ChangeTime;
        }

        if (KillSetId) { node.Mode = WritePrivileges.WithoutSetId(node.Mode); }
        return info with { VNode = node };
    }

    /// <summary>Waits until nobody else changes the whole file, then keeps writes and captures off.</summary>
    public async ValueTask EnterExclusiveAsync()
    {
        for (; ; )
        {
            Task wait;
            lock (Gate)
            {
                if (!IsExclusive)
                {
                    IsExclusive = true;
                    return;
                }

                wait = turn.WaitAsync();
            }

            await wait;
        }
    }

    public void LeaveExclusive()
    {
        lock (Gate)
        {
            Invariant.Check(IsExclusive);
            IsExclusive = false;
            turn.Raise();
        }
    }

    /// <summary>Ends once the one who changes the whole file is done; under the gate.</summary>
    public Task WaitTurnAsync() => turn.WaitAsync();

    /// <summary>By how much the dirty data will grow the backed space: exact for appends and full files; for sparse
    /// ones an upper bound.</summary>
    private ulong EstimateGrowth()
    {
        ulong inside = info.VNode.Size > info.VNode.AllocatedBytes ? info.VNode.Size - info.VNode.AllocatedBytes : 0;
        ulong beyond = Dirty.End > info.VNode.Size ? Dirty.End - info.VNode.Size : 0;
        return Math.Min((ulong)Dirty.Bytes, inside + beyond);
    }
}
