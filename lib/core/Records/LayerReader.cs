namespace KvFs.Core;

/// <summary>Reads the records of one drive at one version, without falling through to its origins.</summary>
/// <remarks>Visible at S is the record with written ≤ S &lt; superseded; the present one is superseded by nothing. Source:
/// docs/design.md, section 5, "Snapshots".</remarks>
internal static class LayerReader
{
    /// <summary>Finds the record of a key that is visible in a layer; a whiteout is found, too.</summary>
    public static bool TryGet(
        IRecordReader reader,
        DriveLayer layer,
        ref RecordKey key,
        ByteBuffer raw,
        out RecordHeader header,
        out ReadOnlySpan<byte> payload)
    {
        if (reader.TryGet(key.In(layer.Drive), raw))
        {
            Open(key.In(layer.Drive), raw.Span, out header, out payload);
            if (header.Written <= layer.At) { return true; }
        }

        header = default;
        payload = default;
        return layer.At != CowNumber.Head && TryGetHistory(reader, layer, key.Relative, raw, out header, out payload);
    }

    /// <summary>Finds the oldest record that a drive itself has of a key, be it history, present or a whiteout.</summary>
    public static bool TryGetOldest(
        IRecordReader reader, DriveId drive, ref RecordKey key, ByteBuffer raw, out RecordHeader header)
    {
        RecordKey from = RecordKey.History(key.Relative, default);
        RecordKey to = RecordKey.History(key.Relative, CowNumber.Head);
        using (IRecordCursor cursor = reader.OpenCursor(from.In(drive), to.In(drive)))
        {
            if (cursor.MoveNext())
            {
                Open(cursor.Key, cursor.Value, out header, out _);
                return true;
            }
        }

        header = default;
        if (!reader.TryGet(key.In(drive), raw)) { return false; }
        Open(key.In(drive), raw.Span, out header, out _);
        return true;
    }

    /// <summary>Opens an envelope that a reader returned.</summary>
    /// <exception cref="RecordCorruptException">It is damaged, or newer than this code.</exception>
    public static void Open(
        ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, out RecordHeader header, out ReadOnlySpan<byte> payload)
    {
        Status status = RecordEnvelope.Read(value, out header, out payload);
        if (status != Status.Ok) { throw new RecordCorruptException(status, key); }
    }

    /// <remarks>History of a key is ordered by what superseded it: the first one superseded after S is the only one that
    /// can be visible at S.</remarks>
    private static bool TryGetHistory(
        IRecordReader reader,
        DriveLayer layer,
        ReadOnlySpan<byte> relative,
        ByteBuffer raw,
        out RecordHeader header,
        out ReadOnlySpan<byte> payload)
    {
        header = default;
        payload = default;
        RecordKey from = RecordKey.History(relative, new(layer.At.Value + 1));
        RecordKey to = RecordKey.History(relative, CowNumber.Head);
        using IRecordCursor cursor = reader.OpenCursor(from.In(layer.Drive), to.In(layer.Drive));
        if (!cursor.MoveNext()) { return false; }
        raw.Set(cursor.Value);
        Open(cursor.Key, raw.Span, out header, out payload);
        return header.Written <= layer.At;
    }
}

/// <summary>What a walk over one drive's records does with whiteouts.</summary>
internal enum Whiteouts
{
    /// <summary>Hides what lies below: there is more.</summary>
    Hide,

    /// <summary>Passes over them: there is nothing below. A flat drive may have some from before.</summary>
    Skip,

    /// <summary>Shows them: in history they hide nothing.</summary>
    Show,
}

/// <summary>Walks the present records of one drive.</summary>
internal sealed class LayerCursor : DriveCursor
{
    private readonly IRecordCursor cursor;
    private readonly Whiteouts whiteouts;
    private RecordHeader header;
    private int payloadStart;
    private int payloadLength;

    public LayerCursor(IRecordReader reader, DriveId drive, RecordKey from, RecordKey to, Whiteouts whiteouts)
    {
        cursor = reader.OpenCursor(from.In(drive), to.In(drive));
        this.whiteouts = whiteouts;
    }

    public override ReadOnlySpan<byte> Key => cursor.Key[DriveId.Size..];

    public override ReadOnlySpan<byte> Payload => cursor.Value.Slice(payloadStart, payloadLength);

    public override RecordHeader Header => header;

    public override bool Hides => whiteouts == Whiteouts.Hide && header.Whiteout;

    public override bool MoveNext()
    {
        ReadOnlySpan<byte> value;
        ReadOnlySpan<byte> payload;
        do
        {
            if (!cursor.MoveNext()) { return false; }
            value = cursor.Value;
            LayerReader.Open(cursor.Key, value, out header, out payload);
        }
        while (header.Whiteout && whiteouts == Whiteouts.Skip);

        payloadLength = payload.Length;
        payloadStart = value.Length - RecordEnvelope.TrailerBytes - payload.Length;
        return true;
    }

    protected override void Dispose(bool disposing) => cursor.Dispose();
}

/// <summary>Walks the records of one drive as they were at a version: present ones old enough, and history.</summary>
internal sealed class VersionCursor : DriveCursor
{
    private readonly CowNumber at;
    private readonly IRecordCursor present;
    private readonly IRecordCursor history;
    private readonly ByteBuffer key = new(64);
    private readonly ByteBuffer payload = new(256);
    private bool presentAlive;
    private bool historyAlive;
    private RecordHeader header;

    public VersionCursor(IRecordReader reader, DriveLayer layer, RecordKey from, RecordKey to)
    {
        at = layer.At;
        present = reader.OpenCursor(from.In(layer.Drive), to.In(layer.Drive));
        RecordKey historyFrom = RecordKey.HistoryFrom(from.Relative);
        RecordKey historyTo = RecordKey.HistoryFrom(to.Relative);
        history = reader.OpenCursor(historyFrom.In(layer.Drive), historyTo.In(layer.Drive));
        presentAlive = present.MoveNext();
        historyAlive = history.MoveNext();
    }

    public override ReadOnlySpan<byte> Key => key.Span;

    public override ReadOnlySpan<byte> Payload => payload.Span;

    public override RecordHeader Header => header;

    public override bool MoveNext()
    {
        while (presentAlive || historyAlive)
        {
            if (TakeLeastKey()) { return true; }
        }

        return false;
    }

    protected override void Dispose(bool disposing)
    {
        present.Dispose();
        history.Dispose();
    }

    /// <summary>Consumes all records of the least key in sight; true if one of them is visible.</summary>
    private bool TakeLeastKey()
    {
        bool fromPresent = !historyAlive
            || (presentAlive && PresentKey.SequenceCompareTo(HistoryKey) <= 0);
        key.Set(fromPresent ? PresentKey : HistoryKey);
        bool visible = false;
        if (presentAlive && PresentKey.SequenceEqual(key.Span))
        {
            visible = Take(present);
            presentAlive = present.MoveNext();
        }

        while (historyAlive && HistoryKey.SequenceEqual(key.Span))
        {
            visible = visible || (HistorySuperseded > at && Take(history));
            historyAlive = history.MoveNext();
        }

        return visible;
    }

    private ReadOnlySpan<byte> PresentKey => present.Key[DriveId.Size..];

    private ReadOnlySpan<byte> HistoryKey => Split(out _);

    private CowNumber HistorySuperseded
    {
        get
        {
            Split(out CowNumber superseded);
            return superseded;
        }
    }

    private ReadOnlySpan<byte> Split(out CowNumber superseded)
    {
        if (!RecordKey.TrySplitHistory(history.Key[DriveId.Size..], out ReadOnlySpan<byte> original, out superseded))
        {
            throw new RecordCorruptException(Status.Corrupt, history.Key);
        }

        return original;
    }

    private bool Take(IRecordCursor cursor)
    {
        LayerReader.Open(cursor.Key, cursor.Value, out RecordHeader found, out ReadOnlySpan<byte> content);
        if (found.Written > at) { return false; }
        header = found;
        payload.Set(content);
        return true;
    }
}

/// <summary>Walks several sources as one: of equal keys the first source's record wins; whiteouts hide.</summary>
internal sealed class MergedCursor : DriveCursor
{
    private readonly DriveCursor[] sources;
    private readonly bool[] alive;
    private int current = -1;

    public MergedCursor(params DriveCursor[] sources)
    {
        this.sources = sources;
        alive = new bool[sources.Length];
        for (int i = 0; i < sources.Length; i++) { alive[i] = sources[i].MoveNext(); }
    }

    public override ReadOnlySpan<byte> Key => sources[current].Key;

    public override ReadOnlySpan<byte> Payload => sources[current].Payload;

    public override RecordHeader Header => sources[current].Header;

    public override bool MoveNext()
    {
        do
        {
            SkipCurrent();
            current = Least();
        }
        while (current >= 0 && sources[current].Hides);

        return current >= 0;
    }

    protected override void Dispose(bool disposing)
    {
        foreach (DriveCursor source in sources) { source.Dispose(); }
    }

    /// <summary>Moves every source off the key that was shown last.</summary>
    private void SkipCurrent()
    {
        if (current < 0) { return; }
        for (int i = 0; i < sources.Length; i++)
        {
            if (i != current && alive[i] && sources[i].Key.SequenceEqual(sources[current].Key))
            {
                alive[i] = sources[i].MoveNext();
            }
        }

        alive[current] = sources[current].MoveNext();
    }

    private int Least()
    {
        int least = -1;
        for (int i = 0; i < sources.Length; i++)
        {
            if (alive[i] && (least < 0 || sources[i].Key.SequenceCompareTo(sources[least].Key) < 0)) { least = i; }
        }

        return least;
    }
}
