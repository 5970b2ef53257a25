using System.Collections.Immutable;
using System.Text;

namespace KvFs.Core;

/// <summary>Reads and writes the records that say what a drive is: its policy, its retained versions, its counters.</summary>
public static class DriveRecords
{
    /// <summary>Reads what the owner of a drive's shard keeps of it.</summary>
    /// <returns>Ok; NotFound: there is no such drive.</returns>
    /// <exception cref="RecordCorruptException">One of the records is damaged, or missing.</exception>
    public static Status Load(IRecordReader reader, DriveId drive, out DriveState? state, out DriveCounters counters)
    {
        ArgumentNullException.ThrowIfNull(reader);
        state = null;
        counters = default;
        ByteBuffer payload = new();
        StoredDriveView view = new(reader, [new(drive, CowNumber.Head)]);
        RecordKey key = RecordKey.Single(RecordKind.Drive);
        if (!view.TryGet(ref key, payload)) { return Status.NotFound; }
        if (!DrivePolicy.TryDecode(payload.Span, out DrivePolicy? policy)) { view.ThrowCorrupt(ref key); }

        key = RecordKey.Single(RecordKind.Usage);
        if (!view.TryGet(ref key, payload) || !DriveCounters.TryDecodeUsage(payload.Span, out counters))
        {
            view.ThrowCorrupt(ref key);
        }

        key = RecordKey.Single(RecordKind.Reservation);
        if (!view.TryGet(ref key, payload)) { view.ThrowCorrupt(ref key); }
        if (!IdMarks.TryDecode(payload.Span, out IdMarks reserved)) { view.ThrowCorrupt(ref key); }

        // What was reserved may have been handed out: nothing below is given again.
        counters.Next = reserved;
        counters.Reserved = reserved;
        state = new(drive, policy!, Retained(view));
        return Status.Ok;
    }

    /// <summary>Writes that ids up to some marks are reserved. Once the batch is durable, they may be handed out.</summary>
    public static void Reserve(DriveId drive, IdMarks upTo, RecordBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        Span<byte> payload = stackalloc byte[IdMarks.PayloadBytes];
        upTo.Encode(payload);
        ByteBuffer envelope = new();
        RecordEnvelope.Write(default, whiteout: false, payload, envelope);
        RecordKey key = RecordKey.Single(RecordKind.Reservation);
        batch.Put(key.In(drive), envelope.Span);
    }

    /// <summary>A drive's snapshots, by name.</summary>
    public static List<KeyValuePair<string, RetainedVersion>> Snapshots(DriveView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        List<KeyValuePair<string, RetainedVersion>> snapshots = [];
        using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(RecordKind.Snapshot));
        while (cursor.MoveNext())
        {
            RetainedVersion version = Decode(view, cursor);
            snapshots.Add(new(Encoding.ASCII.GetString(RecordKey.SnapshotName(cursor.Key)), version));
        }

        return snapshots;
    }

    /// <summary>Finds a snapshot by its name.</summary>
    public static bool TryGetSnapshot(DriveView view, string name, out RetainedVersion version)
    {
        ArgumentNullException.ThrowIfNull(view);
        version = default;
        if (ObjectNames.Check(name) != Status.Ok) { return false; }
        RecordKey key = SnapshotKey(name);
        ByteBuffer payload = new();
        if (!view.TryGet(ref key, payload)) { return false; }
        if (!RetainedVersion.TryDecode(payload.Span, out version)) { view.ThrowCorrupt(ref key); }
        return true;
    }

    /// <summary>The key of a snapshot; the name was checked.</summary>
    internal static RecordKey SnapshotKey(string name)
    {
        Span<byte> bytes = stackalloc byte[Limits.ObjectNameBytes];
        return RecordKey.Snapshot(bytes[..Encoding.ASCII.GetBytes(name, bytes)]);
    }

    /// <summary>All versions that snapshots and pins see, ascending, each once.</summary>
    internal static ImmutableArray<CowNumber> Retained(DriveView view)
    {
        SortedSet<CowNumber> versions = [];
        foreach (RecordKind kind in (ReadOnlySpan<RecordKind>)[RecordKind.Snapshot, RecordKind.Pin])
        {
            using DriveCursor cursor = view.WalkPrefix(RecordKey.Single(kind));
            while (cursor.MoveNext()) { versions.Add(Decode(view, cursor).At); }
        }

        return [.. versions];
    }

    internal static void PutVersion(ref RecordKey key, in RetainedVersion version, DriveTransaction transaction)
    {
        Span<byte> payload = stackalloc byte[RetainedVersion.PayloadBytes];
        version.Encode(payload);
        transaction.Put(ref key, payload);
    }

    /// <summary>Writes the policy into the drive's record and the transaction's state.</summary>
    internal static void PutPolicy(DrivePolicy policy, DriveTransaction transaction)
    {
        ByteBuffer payload = new();
        policy.Encode(payload);
        RecordKey key = RecordKey.Single(RecordKind.Drive);
        transaction.Put(ref key, payload.Span);
        transaction.State = transaction.State with { Policy = policy };
    }

    private static RetainedVersion Decode(DriveView view, DriveCursor cursor)
    {
        if (!RetainedVersion.TryDecode(cursor.Payload, out RetainedVersion version))
        {
            RecordKey key = RecordKey.FromRelative(cursor.Key);
            view.ThrowCorrupt(ref key);
        }

        return version;
    }
}
