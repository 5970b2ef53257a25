namespace KvFs.Core;

/// <summary>A slice or base record some of whose runs were copied.</summary>
/// <param name="Place">Its key.</param>
/// <param name="Written">The CoW number that wrote it when it was read: nobody has changed it since, or it is left alone.</param>
/// <param name="FirstTarget">Where its copies are in <see cref="MoveRequest.Offsets"/>.</param>
/// <param name="Count">How many of its runs in evacuated blocks were copied, from the first one on.</param>
public readonly record struct MovedRecord(SliceKey Place, CowNumber Written, int FirstTarget, int Count);

/// <summary>Runs of bytes that were copied out of half-dead blocks into one new block, and the records that name them.
/// </summary>
public sealed class MoveRequest
{
    private readonly HashSet<BlockName> evacuated = [];

    /// <summary>The block that holds the copies.</summary>
    public BlockName Target { get; set; }

    /// <summary>The first record that is not done yet.</summary>
    public int Next { get; set; }

    /// <summary>The records, each once.</summary>
    public List<MovedRecord> Records { get; } = [];

    /// <summary>First byte of each copied run in the new block.</summary>
    public List<uint> Offsets { get; } = [];

    /// <summary>Says which blocks are to be empty: for this request and those after it.</summary>
    public void Evacuate(DriveId drive, IReadOnlyList<BlockFill> blocks)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        evacuated.Clear();
        foreach (BlockFill fill in blocks) { evacuated.Add(new(drive, fill.Block)); }
    }

    /// <summary>Whether a run is to be moved.</summary>
    public bool IsEvacuated(in Slice run) => run.Kind == SliceKind.Block && evacuated.Contains(run.Block);

    /// <summary>Makes room for the next request; the blocks stay those to be emptied.</summary>
    public void Clear()
    {
        Target = default;
        Next = 0;
        Records.Clear();
        Offsets.Clear();
    }
}
