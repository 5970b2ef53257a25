using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Simulation.Storage;

namespace KvFs.Simulation.Nodes;

/// <summary>Bugs that are planted below the node, each as if a line of it were missing or wrong.</summary>
internal enum NodeBug
{
    None,

    /// <summary>The log is never synced.</summary>
    SkipLogSync,

    /// <summary>What asks for a sync is answered before it, and it happens a little later.</summary>
    AcknowledgeEarly,

    /// <summary>The applied mark is logged, and so durable before the records that it speaks of.</summary>
    MarkAhead,

    /// <summary>That entries are forgotten is logged, and so durable before the records that they led to.</summary>
    TrimUnflushed,

    /// <summary>The store flushes each family for itself: entries are forgotten, and their records not yet there.</summary>
    FlushApart,

    /// <summary>What a snapshot still sees of a file's data is forgotten: a reference less to its blocks.</summary>
    ForgetReference,

    /// <summary>The log's entry says of a name that was removed that its snapshots see it for ever: a replay resurrects it.
    /// </summary>
    ResurrectName,

    /// <summary>A replay applies an entry a second time, after the next one.</summary>
    ReplayTwice,

    /// <summary>A replay leaves out the log's last entry.</summary>
    ReplayShort,

    /// <summary>The reservation of ids is not recorded: they are given again after a crash.</summary>
    ForgetReservation,

    /// <summary>Who holds what lost its last name is not recorded: nobody removes it.</summary>
    ForgetOrphans,

    /// <summary>The index entry of a block is put past the log.</summary>
    UnloggedIndex,

    /// <summary>The bytes of blocks are never synced.</summary>
    SkipDataSync,

    /// <summary>A dead block's record is forgotten, and the block with it.</summary>
    ForgetDeadBlocks,

    /// <summary>A request of several operations becomes two transactions. This one is planted above the node.</summary>
    SplitTransaction,
}

/// <summary>Puts a planted bug between a node and what it stands on.</summary>
internal sealed class NodeFaults(NodeBug bug)
{
    private readonly Faults below = new(bug switch
    {
        NodeBug.UnloggedIndex => PlantedBug.UnloggedIndex,
        NodeBug.SkipDataSync => PlantedBug.SkipDataSync,
        _ => PlantedBug.None,
    });

    internal static NodeFaults None { get; } = new(NodeBug.None);

    internal bool SplitsTransactions => bug == NodeBug.SplitTransaction;

    internal bool FlushesApart => bug == NodeBug.FlushApart;

    internal IDisk On(IDisk disk) => below.On(disk);

    internal IKeyValueStore On(IKeyValueStore store) => bug switch
    {
        NodeBug.None or NodeBug.FlushApart or NodeBug.SplitTransaction => below.On(store),
        NodeBug.UnloggedIndex or NodeBug.SkipDataSync => below.On(store),
        _ => new LyingStore(store, bug),
    };

    /// <remarks>Every node that starts gets a new one: until it appends to the log, what it applies is a replay.</remarks>
    private sealed class LyingStore(IKeyValueStore store, NodeBug bug) : IKeyValueStore
    {
        private readonly KeyValueBatch changed = new();
        private readonly KeyValueBatch alsoLogged = new();
        private KeyValueBatch replayed = new();
        private KeyValueBatch replayedBefore = new();
        private readonly ByteBuffer known = new();
        private bool hasAppended;
        private bool owesSync;

        public bool IsFailed => store.IsFailed;

        public string? Failure => store.Failure;

        public bool TryGet(Family family, ReadOnlySpan<byte> key, ByteBuffer value) => store.TryGet(family, key, value);

        public IRecordCursor OpenCursor(Family family, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
        {
            IRecordCursor cursor = store.OpenCursor(family, from, to);
            return bug == NodeBug.ReplayShort && family == Family.Log ? new ShortCursor(cursor) : cursor;
        }

        public IKeyValueSnapshot CreateSnapshot() => store.CreateSnapshot();

        public Status Write(KeyValueBatch batch, bool logged)
        {
            PayDebt();
            bool isApply = !logged;
            foreach (KeyValueBatch.Change change in batch)
            {
                hasAppended |= change is { Family: Family.Log, Operation: KeyValueOperation.Put };
            }

            changed.Clear();
            alsoLogged.Clear();
            foreach (KeyValueBatch.Change change in batch) { Copy(change); }
            Status status = changed.Count == 0 ? Status.Ok : store.Write(changed, logged);
            if (status == Status.Ok && alsoLogged.Count > 0) { status = store.Write(alsoLogged, logged: true); }
            if (status == Status.Ok && isApply && bug == NodeBug.ReplayTwice && !hasAppended) { status = Repeat(); }
            return status;
        }

        public Status SyncLog()
        {
            switch (bug)
            {
                case NodeBug.SkipLogSync:
                    return Status.Ok;
                case NodeBug.AcknowledgeEarly:
                    owesSync = true;
                    return Status.Ok;
                default:
                    return store.SyncLog();
            }
        }

        public KeyValueStatistics GetStatistics() => store.GetStatistics();

        public void Dispose() => store.Dispose();

        private void PayDebt()
        {
            if (owesSync) { store.SyncLog(); }
            owesSync = false;
        }

        /// <summary>Copies a change as the bug has it.</summary>
        private void Copy(in KeyValueBatch.Change change)
        {
            bool isMark = change.Family == Family.Namespace && DriveId.Read(change.Key) == default;
            switch (change.Operation)
            {
                case KeyValueOperation.Put when isMark && bug == NodeBug.MarkAhead:
                    alsoLogged.Put(change.Family, change.Key, change.Value);
                    break;
                case KeyValueOperation.Put when change.Family == Family.Log:
                    changed.Put(change.Family, change.Key, Entry(change.Key, change.Value));
                    break;
                case KeyValueOperation.Put:
                    bool isKept = isMark || change.Family != Family.Namespace || IsKept(change.Key);
                    if (isKept) { changed.Put(change.Family, change.Key, change.Value); }
                    break;
                case KeyValueOperation.Delete:
                    changed.Delete(change.Family, change.Key);
                    break;
                case KeyValueOperation.DeleteRange when change.Family == Family.Log && bug == NodeBug.TrimUnflushed:
                    alsoLogged.DeleteRange(change.Family, change.Key, change.Value);
                    break;
                default:
                    changed.DeleteRange(change.Family, change.Key, change.Value);
                    break;
            }
        }

        /// <summary>The log's entry as the bug has it.</summary>
        private byte[] Entry(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
        {
            Status read = LogEntry.ReadValue(key, value, out Epoch epoch, out DriveId drive, out ReadOnlySpan<byte> rest);
            Invariant.Check(read == Status.Ok);
            RecordBatch batch = new();
            while (RecordBatch.TryReadNext(
                ref rest, out RecordOperation operation, out ReadOnlySpan<byte> record, out ReadOnlySpan<byte> content))
            {
                switch (operation)
                {
                    case RecordOperation.Put:
                        if (IsKept(record)) { batch.Put(Logged(record), content); }
                        break;
                    case RecordOperation.Delete:
                        batch.Delete(record);
                        break;
                    default:
                        batch.DeleteRange(record, content);
                        break;
                }
            }

            ByteBuffer entry = new();
            LogEntry.WriteValue(key, epoch, drive, batch.Bytes, entry);
            return entry.Span.ToArray();
        }

        /// <summary>Whether a record is written at all.</summary>
        private bool IsKept(ReadOnlySpan<byte> key)
        {
            RecordKind kind = (RecordKind)key[DriveId.Size];
            return bug switch
            {
                NodeBug.ForgetReference => !IsHistoryOf(key, RecordKind.Slice),
                NodeBug.ForgetReservation => kind != RecordKind.Reservation || !store.TryGet(Family.Namespace, key, known),
                NodeBug.ForgetOrphans => kind != RecordKind.Orphan,
                NodeBug.ForgetDeadBlocks => kind != RecordKind.BlockDead,
                _ => true,
            };
        }

        /// <summary>The key that the log has for a record.</summary>
        private byte[] Logged(ReadOnlySpan<byte> key)
        {
            byte[] logged = key.ToArray();
            bool resurrects = bug == NodeBug.ResurrectName && IsHistoryOf(key, RecordKind.Dentry);
            if (resurrects) { logged.AsSpan(logged.Length - 8).Fill(0xFE); }
            return logged;
        }

        private static bool IsHistoryOf(ReadOnlySpan<byte> key, RecordKind kind) =>
            key[DriveId.Size] == (byte)RecordKind.History && key[DriveId.Size + 2] == (byte)kind;

        /// <summary>Applies what was applied before what was applied just now once more, but for its mark.</summary>
        private Status Repeat()
        {
            (replayed, replayedBefore) = (replayedBefore, replayed);
            replayed.Clear();
            foreach (KeyValueBatch.Change change in changed)
            {
                if (DriveId.Read(change.Key) == default) { continue; }
                switch (change.Operation)
                {
                    case KeyValueOperation.Put: replayed.Put(change.Family, change.Key, change.Value); break;
                    case KeyValueOperation.Delete: replayed.Delete(change.Family, change.Key); break;
                    default: replayed.DeleteRange(change.Family, change.Key, change.Value); break;
                }
            }

            return replayedBefore.Count == 0 ? Status.Ok : store.Write(replayedBefore, logged: false);
        }
    }

    /// <summary>Leaves out the last record.</summary>
    private sealed class ShortCursor(IRecordCursor cursor) : IRecordCursor
    {
        private byte[] key = [];
        private byte[] value = [];
        private bool hasNext = cursor.MoveNext();

        public ReadOnlySpan<byte> Key => key;

        public ReadOnlySpan<byte> Value => value;

        public bool MoveNext()
        {
            if (!hasNext) { return false; }
            key = cursor.Key.ToArray();
            value = cursor.Value.ToArray();
            hasNext = cursor.MoveNext();
            return hasNext;
        }

        public void Dispose() => cursor.Dispose();
    }
}
