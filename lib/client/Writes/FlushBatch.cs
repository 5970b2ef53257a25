using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Client;

/// <summary>How far a batch has come.</summary>
internal enum BatchState
{
    /// <summary>Its data is sealed; nobody works on it.</summary>
    Captured,

    /// <summary>Somebody writes its block.</summary>
    Running,

    /// <summary>Its block is on disk; it waits for its files' earlier batches.</summary>
    Written,

    /// <summary>Somebody commits it.</summary>
    Committing,

    /// <summary>It failed, and may be tried again.</summary>
    Parked,

    /// <summary>Committed or lost.</summary>
    Done,
}

/// <summary>One captured run.</summary>
/// <param name="Offset">First byte in the file.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Segment">Where the bytes are.</param>
/// <param name="SourceOffset">First byte in the block, or in the file's inline bytes.</param>
internal readonly record struct BatchPiece(ulong Offset, int Length, DirtySegment Segment, uint SourceOffset);

/// <summary>What a batch takes from one file.</summary>
internal sealed class BatchFile
{
    private FileState? file;

    public FileState File
    {
        get => file ?? throw new InvalidOperationException("The entry is not in use.");
        set => file = value;
    }

    public List<BatchPiece> Pieces { get; } = [];

    public FileCommit Commit { get; } = new();

    public Timestamp? WriteTime { get; set; }

    public bool KillSetId { get; set; }

    /// <summary>Attributes that go along, and which version they are.</summary>
    public (SetAttributesRequest Attributes, uint Version)? Kept { get; set; }

    /// <summary>Bytes of quota taken for its pieces.</summary>
    public ulong Reserved { get; set; }

    /// <summary>What became of it: null as long as it is neither committed nor lost.</summary>
    public Status? Outcome { get; set; }

    public NodeInfo Answer { get; set; }

    public void Clear()
    {
        file = null;
        Pieces.Clear();
        Commit.Clear();
        WriteTime = null;
        KillSetId = false;
        Kept = null;
        Reserved = 0;
        Outcome = null;
        Answer = default;
    }

    /// <summary>The file was cut: forgets what lies at or behind its new size, and the modify time, which the cut's outlasts.
    /// An entry that keeps nothing is done.</summary>
    /// <remarks>What was reserved for it is returned with the batch.</remarks>
    public void CutFrom(ulong size, in NodeInfo cut)
    {
        WriteTime = null;
        for (int at = Pieces.Count - 1; at >= 0; at--)
        {
            BatchPiece piece = Pieces[at];
            if (piece.Offset >= size) { Pieces.RemoveAt(at); }
            else if (piece.Offset + (ulong)piece.Length > size)
            {
                Pieces[at] = piece with { Length = (int)(size - piece.Offset) };
            }
        }

        if (Kept is { } kept)
        {
            Kept = kept with { Attributes = KeptAttributes.WithoutModifyTime(kept.Attributes) };
        }

        if (Pieces.Count > 0 || Kept is not null) { return; }
        Answer = cut;
        Outcome = Status.Ok;
    }

    /// <summary>Fills <see cref="Commit"/>: pieces cut at clusters, inline ones also at the bound of a
    /// record.</summary>
    public void BuildCommit(BlockName? block)
    {
        Commit.Clear();
        Commit.Node = File.Id;
        Commit.ModifyTime = WriteTime ?? default;
        Commit.KeepTimes = WriteTime is null;
        Commit.KillSetId = KillSetId;
        Commit.Attributes = Kept?.Attributes;
        foreach (BatchPiece piece in CollectionsMarshal.AsSpan(Pieces))
        {
            Commit.MinSize = Math.Max(Commit.MinSize, piece.Offset + (ulong)piece.Length);
            if (block is { } name) { Commit.AddBlock(piece.Offset, piece.Length, name, piece.SourceOffset); }
            else { Commit.AddInline(piece.Offset, piece.Segment.Bytes(piece.Offset, piece.Length)); }
        }
    }
}

/// <summary>Dirty data of one or many files that goes into at most one block and one transaction.</summary>
/// <remarks>Filled under the flusher's order lock and its files' gates; from then on its content does not change. The
/// order lock guards its state. Used again and again.</remarks>
internal sealed class FlushBatch
{
    private readonly List<BatchFile> files = [];
    private readonly List<FileCommit> commits = [];

    /// <summary>Blocks that may be stored and that it will not name.</summary>
    private readonly List<BlockName> abandoned = [];
    private int fileCount;

    /// <summary>Rises with every batch that is captured.</summary>
    public ulong Number { get; private set; }

    public BatchState State { get; set; }

    /// <summary>Why it is parked.</summary>
    public Status Failure { get; set; }

    /// <summary>Its files know of the failure.</summary>
    public bool IsFailureNoted { get; set; }

    /// <summary>Its one segment is the block: nothing is copied.</summary>
    public bool IsDirect { get; private set; }

    /// <summary>Its bytes go into the transaction; there is no block.</summary>
    public bool IsInline { get; set; }

    /// <summary>Somebody waits until it is durable.</summary>
    public bool WantsDurable { get; set; }

    public BlockName? Block { get; set; }

    public bool IsBlockWritten { get; set; }

    /// <summary>A file of it was committed and names its block, or may have been.</summary>
    public bool IsBlockNamed { get; private set; }

    /// <summary>Bytes of its block.</summary>
    public int Bytes { get; private set; }

    public int PieceCount { get; private set; }

    public List<DirtySegment> Segments { get; } = [];

    public ReadOnlySpan<BatchFile> Files => CollectionsMarshal.AsSpan(files)[..fileCount];

    public int FileCount => fileCount;

    /// <summary>Room for answers to <see cref="BuildCommits"/>.</summary>
    public List<NodeInfo> Results { get; } = [];

    /// <summary>The next batch of a chain that one caller commits.</summary>
    public FlushBatch? Next { get; set; }

    public BatchFile File(int at) => files[at];

    public void Begin(ulong number, bool direct)
    {
        Invariant.Check(fileCount == 0);
        Number = number;
        State = BatchState.Captured;
        IsDirect = direct;
    }

    public void Clear()
    {
        for (int at = 0; at < fileCount; at++) { files[at].Clear(); }
        fileCount = 0;
        commits.Clear();
        abandoned.Clear();
        Results.Clear();
        Segments.Clear();
        Number = 0;
        State = BatchState.Done;
        Failure = Status.Ok;
        IsFailureNoted = false;
        IsDirect = false;
        IsInline = false;
        WantsDurable = false;
        Block = null;
        IsBlockWritten = false;
        IsBlockNamed = false;
        Bytes = 0;
        PieceCount = 0;
        Next = null;
    }

    /// <summary>The entry of a file; a new one if it is not the last one.</summary>
    public BatchFile For(FileState file)
    {
        if (fileCount > 0 && files[fileCount - 1].File == file) { return files[fileCount - 1]; }
        if (fileCount == files.Count) { files.Add(new()); }
        BatchFile entry = files[fileCount++];
        entry.File = file;
        return entry;
    }

    /// <summary>Takes a run of a segment; its place in the block is given.</summary>
    public void Add(BatchFile entry, in DirtyRun run, int blockOffset)
    {
        entry.Pieces.Add(new(run.Offset, run.Length, run.Segment, (uint)blockOffset));
        if (run.IsReserved) { entry.Reserved += (ulong)run.Length; }
        Bytes = Math.Max(Bytes, blockOffset + run.Length);
        PieceCount++;
        if (run.Segment.Batch == this) { return; }
        run.Segment.Batch = this;
        Segments.Add(run.Segment);
    }

    /// <summary>A file of it was cut (see <see cref="BatchFile.CutFrom"/>); a batch without bytes needs no block.</summary>
    public void CutFrom(FileState file, ulong size, in NodeInfo cut)
    {
        bool hasBytes = false;
        foreach (BatchFile entry in Files)
        {
            if (entry.File == file && entry.Outcome is null) { entry.CutFrom(size, cut); }
            hasBytes |= entry.Pieces.Count > 0;
        }

        IsInline |= !hasBytes;

        // A block that a failed write left behind has the bytes from before the cut, and a block never changes: another id.
        if (IsBlockWritten || Block is not { } left) { return; }
        abandoned.Add(left);
        Block = null;
    }

    /// <summary>Nobody knows whether a commit that names its block was made.</summary>
    public void MayHaveNamed() => IsBlockNamed |= !IsInline;

    /// <summary>Its block died: the files that named it are gone. The others need another one.</summary>
    public void LeaveBlock()
    {
        Block = null;
        IsBlockWritten = false;
        IsBlockNamed = false;
    }

    /// <summary>Its block is not where it was stored, which proves that nothing names it: its files need another one.</summary>
    public void LoseBlock()
    {
        if (Block is { } lost) { abandoned.Add(lost); }
        LeaveBlock();
    }

    /// <summary>Its last commit is answered, or there will be none: the blocks that no file came to name.</summary>
    public IReadOnlyList<BlockName> TakeUnnamed()
    {
        if (!IsBlockNamed && Block is { } block) { abandoned.Add(block); }
        return abandoned.Count == 0 ? [] : [.. abandoned];
    }

    /// <summary>The commits of the files that are not done.</summary>
    public List<FileCommit> BuildCommits()
    {
        commits.Clear();
        Results.Clear();
        foreach (BatchFile entry in Files)
        {
            if (entry.Outcome is not null) { continue; }
            entry.BuildCommit(IsInline ? null : Block);
            commits.Add(entry.Commit);
        }

        return commits;
    }

    /// <summary>Gives the files of <see cref="BuildCommits"/> their answers, which are in the same order.</summary>
    public void TakeResults()
    {
        Invariant.Check(Results.Count == commits.Count);
        int at = 0;
        foreach (BatchFile entry in Files)
        {
            if (entry.Outcome is not null) { continue; }
            TakeResult(entry, Results[at++]);
        }
    }

    /// <summary>A file of it was committed.</summary>
    public void TakeResult(BatchFile entry, in NodeInfo answer)
    {
        entry.Answer = answer;
        entry.Outcome = Status.Ok;
        IsBlockNamed |= !IsInline && entry.Pieces.Count > 0;
    }

    /// <summary>Files that have no outcome yet have failed for good. To a program a missing block is no missing file.</summary>
    public Status FailRest(Status status)
    {
        if (status == Status.NotFound) { status = Status.IoError; }
        foreach (BatchFile entry in Files) { entry.Outcome ??= status; }
        return Status.Ok;
    }

    /// <summary>Lays the pieces into a block, and zeros between them.</summary>
    public void Pack(Span<byte> block)
    {
        int end = 0;
        foreach (BatchFile entry in Files)
        {
            foreach (BatchPiece piece in CollectionsMarshal.AsSpan(entry.Pieces))
            {
                int start = (int)piece.SourceOffset;
                block[end..start].Clear();
                piece.Segment.Bytes(piece.Offset, piece.Length).CopyTo(block[start..]);
                end = start + piece.Length;
            }
        }

        // A file may have been cut since.
        Invariant.Check(end <= Bytes);
        block[end..Bytes].Clear();
    }
}
