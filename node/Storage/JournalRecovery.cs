using System.Globalization;
using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Reads a journal at the start, and applies what the tables do not have.</summary>
/// <remarks>
/// It changes nothing in the journal, so it may be broken off at any point and begun again; and nothing is applied before all
/// was read once and found sound. All segments are read, in the order
/// of their sequences, and in each of them every record that is whole, also those behind one that is not: records begin at
/// multiples of 8, and nothing but a record of this segment has a checksum that fits its salt. Those up to the mark are
/// passed over. From there on they are applied, as long as their numbers are consecutive: that is what a crash leaves, which
/// may take any part of what was not synced.
/// <para>Is a number missing, and says any later record that everything up to this number, or a later one, was durable, then
/// no crash took it: it rotted, or a file is gone, and the folder is refused. What rots behind the last record that says so
/// passes for a torn end.</para>
/// </remarks>
internal sealed class JournalRecovery
{
    internal const string SegmentSuffix = ".segment";
    internal const string UnfinishedSuffix = ".new";

    private readonly IDisk disk;
    private readonly string folder;
    private readonly string shownFolder;
    private readonly JournalMark mark;
    private readonly Action<KeyValueBatch, ulong> apply;
    private readonly KeyValueBatch batch = new();
    private readonly List<(SegmentHeader Header, JournalSegment Segment, IDiskFile File)> found = [];
    private ulong next;
    private bool isBroken;
    private bool applies;
    private int lastSegment;
    private int lastEnd;

    private JournalRecovery(
        IDisk disk, string folder, string shownFolder, JournalMark mark, Action<KeyValueBatch, ulong> apply)
    {
        this.disk = disk;
        this.folder = folder;
        this.shownFolder = shownFolder;
        this.mark = mark;
        this.apply = apply;
        next = mark.Number + 1;
        Highest = mark.Number;
    }

    /// <summary>The number of the last record that was applied, now or before.</summary>
    internal ulong Last => next - 1;

    /// <summary>The highest number of any record: the next one must be above it.</summary>
    internal ulong Highest { get; private set; }

    /// <summary>The highest sequence of any segment.</summary>
    internal ulong Sequence { get; private set; }

    /// <summary>The highest number in the name of any file.</summary>
    internal int Slot { get; private set; }

    /// <summary>The segments that there are.</summary>
    internal IEnumerable<JournalSegment> Segments => found.Select(static one => one.Segment);

    /// <summary>Reads a journal, and applies what it has beyond a mark.</summary>
    /// <param name="disk">Where it is.</param>
    /// <param name="folder">In which folder of the disk.</param>
    /// <param name="shownFolder">The folder's name for people.</param>
    /// <param name="mark">What the tables have.</param>
    /// <param name="maxSegmentBytes">Files that are larger are none of ours.</param>
    /// <param name="apply">Applies a batch of a number; throws what ends the recovery.</param>
    /// <exception cref="StorageException">Corrupt, NotSupported, IoError; the message says what to do. Nothing was changed.
    /// </exception>
    internal static JournalRecovery Run(
        IDisk disk, string folder, string shownFolder, JournalMark mark, int maxSegmentBytes,
        Action<KeyValueBatch, ulong> apply)
    {
        JournalRecovery recovery = new(disk, folder, shownFolder, mark, apply);
        bool isDone = false;
        try
        {
            recovery.OpenAll(maxSegmentBytes);
            recovery.Walk(applies: false);
            if (recovery.Last > mark.Number) { recovery.Walk(applies: true); }
            isDone = true;
            return recovery;
        }
        finally
        {
            if (!isDone) { foreach (JournalSegment segment in recovery.Segments) { segment.Dispose(); } }
        }
    }

    /// <summary>Removes what was never finished. Call when nothing else can fail.</summary>
    internal void RemoveUnfinished()
    {
        List<string> names = [];
        if (disk.List(folder, names) != Status.Ok) { return; }
        foreach (string name in names.Where(static name => TryParse(name, UnfinishedSuffix, out _)))
        {
            _ = disk.DeleteFile($"{folder}/{name}");
        }
    }

    private static bool TryParse(string name, string suffix, out int number)
    {
        number = 0;
        return name.EndsWith(suffix, StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(0, name.Length - suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    private void OpenAll(int maxSegmentBytes)
    {
        List<string> names = [];
        Require(disk.List(folder, names), shownFolder);
        foreach (string name in names)
        {
            if (TryParse(name, UnfinishedSuffix, out int unfinished)) { Slot = Math.Max(Slot, unfinished); }
            if (!TryParse(name, SegmentSuffix, out int number)) { continue; }
            Slot = Math.Max(Slot, number);
            Require(disk.Open($"{folder}/{name}", out IDiskFile? file), Shown(name));
            bool isOurs = false;
            try
            {
                SegmentHeader header = ReadHeader(file!, name, maxSegmentBytes);
                found.Add((header, new($"{folder}/{name}", file!, header.Bytes), file!));
                isOurs = true;
            }
            finally
            {
                if (!isOurs) { file!.Dispose(); }
            }
        }

        found.Sort(static (left, right) => left.Header.Sequence.CompareTo(right.Header.Sequence));
        if (found.Count > 0) { Sequence = found[^1].Header.Sequence; }
    }

    private SegmentHeader ReadHeader(IDiskFile file, string name, int maxSegmentBytes)
    {
        Require(file.GetLength(out long length), Shown(name));
        Span<byte> bytes = stackalloc byte[JournalFormat.HeaderBytes];
        Status status = Status.Corrupt;
        SegmentHeader best = default;
        foreach (long place in (ReadOnlySpan<long>)[0, length - JournalFormat.PageBytes])
        {
            if (place < 0) { continue; }
            Require(file.Read(place, bytes, out int read), Shown(name));
            Status one = JournalFormat.ReadHeader(bytes[..read], out SegmentHeader header);
            if (one == Status.NotSupported) { throw Refuse(one, name, "A newer version of KvFs wrote it: use that one."); }
            if (one != Status.Ok || (status == Status.Ok && header.Sequence <= best.Sequence)) { continue; }
            status = one;
            best = header;
        }

        if (status != Status.Ok)
        {
            throw Refuse(
                status, name, "It is none of a journal, or both of its headers are damaged. If it does not belong here, move it "
                + "away; else restore the data folder from a backup.");
        }

        if (best.Journal != mark.Journal)
        {
            throw Refuse(Status.Corrupt, name, "It belongs to another data folder. Move it away, or put its own one back.");
        }

        if (best.Bytes == length && length <= maxSegmentBytes && length % JournalFormat.PageBytes == 0) { return best; }
        throw Refuse(
            Status.Corrupt, name, $"It has {length} bytes instead of {best.Bytes}: it was cut, and what is missing may have been "
            + "acknowledged. Restore the data folder from a backup; or, to give up what is missing, keep a copy and bring the "
            + $"file back to its length: truncate -s {best.Bytes} '{Shown(name)}'.");
    }

    private void Walk(bool applies)
    {
        this.applies = applies;
        next = mark.Number + 1;
        isBroken = false;
        lastSegment = 0;
        lastEnd = JournalFormat.PageBytes;
        byte[] buffer = [];
        for (int at = 0; at < found.Count; at++)
        {
            (SegmentHeader header, JournalSegment segment, IDiskFile file) = found[at];
            if (buffer.Length < header.Bytes) { buffer = new byte[header.Bytes]; }
            Span<byte> bytes = buffer.AsSpan(0, header.Bytes);
            Require(file.Read(0, bytes, out int read), Shown(segment));
            bytes[read..].Clear();
            WalkSegment(bytes[..^JournalFormat.PageBytes], header.Salt, at);
        }
    }

    private void WalkSegment(ReadOnlySpan<byte> bytes, ulong salt, int segment)
    {
        for (int at = JournalFormat.PageBytes; at < bytes.Length;)
        {
            if (JournalFormat.TryReadRecord(bytes[at..], salt, out JournalRecord record, out ReadOnlySpan<byte> payload))
            {
                Take(record, payload, segment, at);
                at += JournalFormat.SizeOf(payload.Length);
            }
            else
            {
                at += JournalFormat.Alignment;
            }
        }
    }

    private void Take(in JournalRecord record, ReadOnlySpan<byte> payload, int segment, int at)
    {
        Highest = Math.Max(Highest, record.Number);
        if (record.Number == next && !isBroken)
        {
            if (!batch.TrySet(payload, record.Changes))
            {
                throw new StorageException(
                    Status.Corrupt,
                    $"The journal '{Shown(found[segment].Segment)}' has a record at byte {at} that makes no sense, though it is whole. Nothing was "
                    + "changed. Restore the data folder from a backup.");
            }

            if (applies) { apply(batch, next); }
            next++;
        }
        else if (record.Number >= next)
        {
            isBroken = true;
            if (record.Durable >= next) { throw Rotten(record, segment, at); }
            return;
        }

        lastSegment = segment;
        lastEnd = at + JournalFormat.SizeOf(payload.Length);
    }

    private StorageException Rotten(in JournalRecord witness, int segment, int at)
    {
        (SegmentHeader header, JournalSegment last, _) = found[lastSegment];
        string path = Shown(last);
        string giveUp = $"truncate -s {lastEnd} '{path}'; truncate -s {header.Bytes} '{path}'";
        string later = string.Join(' ', found.Skip(lastSegment + 1).Select(one => $"'{Shown(one.Segment)}'"));
        if (later.Length > 0) { giveUp += $"; rm {later}"; }
        return new(
            Status.Corrupt,
            $"The journal '{shownFolder}' is damaged: record {next} is not there, and record {witness.Number} "
            + $"('{Shown(found[segment].Segment)}', byte {at}) says that it was durable. It should be in '{path}' from byte "
            + $"{lastEnd} on, or in a later file that is damaged or gone. What is missing may have been acknowledged. Nothing was "
            + "changed. Restore the data folder from a backup; or, to give up everything from there on, keep a copy and run: "
            + $"{giveUp}");
    }

    private string Shown(JournalSegment segment) => Shown(segment.Path[(folder.Length + 1)..]);

    private string Shown(string name) => $"{shownFolder}/{name}";

    private static StorageException Refused(Status status, string path, string why) =>
        new(status, $"The file '{path}' of the journal cannot be used ({status}). Nothing was changed. {why}");

    private StorageException Refuse(Status status, string name, string why) => Refused(status, Shown(name), why);

    private static void Require(Status status, string path)
    {
        if (status == Status.Ok) { return; }
        throw Refused(status, path, "Check the folder's owner and rights, and the disk.");
    }
}
