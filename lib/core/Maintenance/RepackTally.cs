namespace KvFs.Core;

/// <summary>Finds out which of the chosen blocks can be emptied: those whose live bytes are all referred to by present
/// records that no retained version sees.</summary>
/// <remarks>Fed with all slice and base records of the drive's own layer. A record that a snapshot or pin sees would only go
/// to history when it is replaced, and keep what it names: its block is live, however little of it the head shows. Pure; not
/// thread safe.</remarks>
public sealed class RepackTally
{
    private readonly DriveId drive;
    private readonly Dictionary<BlockId, int> places;
    private readonly IReadOnlyList<BlockFill> chosen;
    private readonly ulong[] movable;
    private readonly List<Slice> runs = [];

    public RepackTally(DriveId drive, IReadOnlyList<BlockFill> chosen)
    {
        ArgumentNullException.ThrowIfNull(chosen);
        this.drive = drive;
        this.chosen = chosen;
        movable = new ulong[chosen.Count];
        places = new(chosen.Count);
        for (int at = 0; at < chosen.Count; at++) { places.Add(chosen[at].Block, at); }
    }

    /// <summary>Takes a present record into account; false if its payload is damaged.</summary>
    public bool TryCount(ReadOnlySpan<byte> payload, in RecordHeader header, DriveState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        if (header.Whiteout || !MoveRuns.IsMovable(header, state)) { return true; }
        runs.Clear();
        if (!MoveRuns.TryReadRuns(payload, runs)) { return false; }
        foreach (Slice run in runs)
        {
            bool isOwn = run.Kind == SliceKind.Block && run.Block.Owner == drive;
            if (isOwn && places.TryGetValue(run.Block.Id, out int at)) { movable[at] += run.Length; }
        }

        return true;
    }

    /// <summary>The blocks that can be emptied, by number.</summary>
    public IReadOnlyList<BlockFill> Take()
    {
        List<BlockFill> blocks = [];
        for (int at = 0; at < chosen.Count; at++)
        {
            if (movable[at] == chosen[at].LiveBytes) { blocks.Add(chosen[at]); }
        }

        return blocks;
    }
}
