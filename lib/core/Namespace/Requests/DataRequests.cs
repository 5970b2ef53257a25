namespace KvFs.Core;

/// <summary>One run of bytes that a commit puts into a file.</summary>
/// <param name="FileOffset">First byte in the file; a run lies within one cluster.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Kind">Inline, Block, Hole or Unwritten.</param>
/// <param name="Block">The block, of this drive and already stored, for <see cref="SliceKind.Block"/>.</param>
/// <param name="SourceOffset">First byte in the block; of an inline run: in <see cref="FileCommit.Inline"/>.</param>
public readonly record struct FileRun(
    ulong FileOffset, uint Length, SliceKind Kind, BlockName Block, uint SourceOffset);

/// <summary>What a commit changes of one file: its new runs, and the size and times that come with them.</summary>
/// <remarks>Runs are in the order in which they hide one another. Lent: valid until the commit was answered.</remarks>
public sealed class FileCommit
{
    public VNodeId Node { get; set; }

    /// <summary>Who commits: new blocks must come from its grants. The driver fills it in.</summary>
    public SessionId Session { get; set; }

    /// <summary>The only blocks that may be named for the first time; null: all that the session was granted, because none of them can have been
    /// lost since it was answered. The driver fills it in.</summary>
    public IStoredBlocks? Stored { get; set; }

    public List<FileRun> Runs { get; } = [];

    /// <summary>The bytes of the inline runs.</summary>
    public ByteBuffer Inline { get; } = new(0);

    /// <summary>The file is at least this long afterwards; 0 leaves its size alone.</summary>
    public ulong MinSize { get; set; }

    /// <summary>The file is to be this long before, else the answer is <see cref="Status.Conflict"/> and nothing is done: what is
    /// appended comes behind what others append. Null: however long it is.</summary>
    public ulong? SizeBefore { get; set; }

    /// <summary>When the last of the writes happened: the new mtime and ctime.</summary>
    public Timestamp ModifyTime { get; set; }

    /// <summary>Leaves the times alone: they were set after the last of the writes.</summary>
    public bool KeepTimes { get; set; }

    /// <summary>Clears set-id bits as a write by somebody without privilege does.</summary>
    public bool KillSetId { get; set; }

    /// <summary>Attributes that were set between the writes and this commit, all but the size; null: none. They go before
    /// times and set-id bits of the writes.</summary>
    public SetAttributesRequest? Attributes { get; set; }

    public void Clear()
    {
        Node = VNodeId.None;
        Session = default;
        Stored = null;
        Runs.Clear();
        Inline.Clear();
        MinSize = 0;
        SizeBefore = null;
        ModifyTime = default;
        KeepTimes = false;
        KillSetId = false;
        Attributes = null;
    }
}

/// <summary>What fallocate(2) is to do with a range.</summary>
public enum RangeOperation : byte
{
    /// <summary>Backs holes with unwritten space; the size grows unless <see cref="RangeRequest.KeepSize"/>.</summary>
    Allocate = 1,

    /// <summary>Frees the range: it reads as zeros and is not backed. The size stays.</summary>
    PunchHole = 2,

    /// <summary>The range reads as zeros and stays backed.</summary>
    Zero = 3,

    /// <summary>Takes the range out; what follows moves down. Whole 4 KiB units within the file.</summary>
    Collapse = 4,

    /// <summary>Puts a hole in; what follows moves up. Whole 4 KiB units within the file.</summary>
    Insert = 5,
}

/// <summary>Changes what backs a range of a file.</summary>
public readonly record struct RangeRequest(
    VNodeId Node, RangeOperation Operation, ulong Offset, ulong Length, bool KeepSize);

/// <summary>Makes a range of a file show what a range of a file, at some version of the same drive, shows: by reference.
/// </summary>
/// <param name="Source">The file that is read.</param>
/// <param name="SourceAt">At which version; <see cref="CowNumber.Head"/> for the present one.</param>
/// <param name="SourceOffset">First byte there.</param>
/// <param name="Target">The file that is changed.</param>
/// <param name="TargetOffset">First byte there.</param>
/// <param name="Length">Bytes; cut at the source's end.</param>
public readonly record struct CopyRangeRequest(
    VNodeId Source, CowNumber SourceAt, ulong SourceOffset, VNodeId Target, ulong TargetOffset, ulong Length);

/// <summary>Replaces a cluster's slices by a base that shows the same: what a packer found and moved.</summary>
/// <remarks>Applied only if every record it replaces is still the one that was read; newer slices stay above.</remarks>
public sealed class FoldRequest
{
    public VNodeId Node { get; set; }

    public uint Cluster { get; set; }

    /// <summary>The relative keys of the records to replace, with the CoW number that wrote each.</summary>
    public List<(RecordKey Key, CowNumber Written)> Replaced { get; } = [];

    /// <summary>The new base's runs: sorted, without overlap, Block or Unwritten; may be empty.</summary>
    public List<Slice> Runs { get; } = [];

    /// <summary>The cluster may have more records to fold than one fold takes.</summary>
    public bool IsPartial { get; set; }

    public void Clear()
    {
        Node = VNodeId.None;
        Cluster = 0;
        IsPartial = false;
        Replaced.Clear();
        Runs.Clear();
    }
}
