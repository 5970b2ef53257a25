using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>The ids of a drive's blocks that may be stored although nothing refers to them: granted, or dead and not yet
/// dropped.</summary>
public sealed class KnownBlocks
{
    private readonly List<(ulong First, ulong Last)> ranges = [];

    /// <summary>False: a record cannot be read, so there may be more of them.</summary>
    public bool IsWhole { get; private set; } = true;

    /// <summary>Those of some ids that are neither in use, granted, nor waiting to be dropped; none, if that cannot be told.</summary>
    /// <param name="view">The newest records. Granted and dead ids are read before those in use: a block that comes into use meanwhile is no
    /// stranger.</param>
    /// <param name="ids">Of blocks that are stored.</param>
    public static List<ulong> FindUnknown(DriveView view, IReadOnlyCollection<ulong> ids)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(ids);
        if (ids.Count == 0) { return []; }
        KnownBlocks known = Read(view);
        if (!known.IsWhole) { return []; }
        ByteBuffer payload = new();
        List<ulong> found = [];
        foreach (ulong id in ids)
        {
            RecordKey key = RecordKey.Numbered(RecordKind.BlockLive, id);
            if (!known.Contains(id) && !view.TryGet(ref key, payload)) { found.Add(id); }
        }

        return found;
    }

    public static KnownBlocks Read(DriveView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        KnownBlocks known = new();
        using (DriveCursor dead = view.WalkPrefix(RecordKey.Single(RecordKind.BlockDead)))
        {
            while (dead.MoveNext())
            {
                ulong first = NumberOf(dead.Key);
                if (DeadBlocks.TryDecode(dead.Payload, out DeadBlocks run)) { known.ranges.Add((first, first + run.Count - 1)); }
                else { known.IsWhole = false; }
            }
        }

        using (DriveCursor grants = view.WalkPrefix(RecordKey.Single(RecordKind.Grant)))
        {
            while (grants.MoveNext())
            {
                ulong last = NumberOf(grants.Key);
                if (BlockGrant.TryDecode(grants.Payload, out BlockGrant run)) { known.ranges.Add((last + 1 - run.Count, last)); }
                else { known.IsWhole = false; }
            }
        }

        known.ranges.Sort();
        return known;
    }

    /// <summary>The last number of a record's key.</summary>
    public static ulong NumberOf(ReadOnlySpan<byte> relativeKey) =>
        BinaryPrimitives.ReadUInt64BigEndian(relativeKey[^8..]);

    public bool Contains(ulong id)
    {
        int low = 0;
        int high = ranges.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (ranges[middle].Last >= id) { high = middle; }
            else { low = middle + 1; }
        }

        return low < ranges.Count && ranges[low].First <= id;
    }
}
