namespace KvFs.Core;

/// <summary>Names a VNode in a <see cref="TransactRequest"/>: by its id, or as what an earlier operation of the same request
/// made or changed.</summary>
public readonly record struct NodeReference
{
    private NodeReference(VNodeId id, int operation)
    {
        Id = id;
        Operation = operation;
    }

    /// <summary>The id; <see cref="VNodeId.None"/> if the operation says.</summary>
    public VNodeId Id { get; }

    /// <summary>The place of the earlier operation, from 0.</summary>
    public int Operation { get; }

    public static NodeReference To(VNodeId id) => new(id, 0);

    /// <summary>The VNode that operation number <paramref name="operation"/>, from 0, answers.</summary>
    public static NodeReference ResultOf(int operation) => new(VNodeId.None, operation);

    public static implicit operator NodeReference(VNodeId id) => To(id);

    public static NodeReference ToNodeReference(VNodeId id) => To(id);
}

/// <summary>What must hold before a transaction's first operation.</summary>
public abstract record Precondition;

/// <summary>The VNode exists, and this CoW number wrote its record: nobody has changed it since.</summary>
public sealed record VersionIs(VNodeId Node, CowNumber Version) : Precondition;

/// <summary>The name leads to this VNode.</summary>
public sealed record NameIs(VNodeId Parent, ReadOnlyMemory<byte> Name, VNodeId Node) : Precondition;

/// <summary>The directory exists and has no such name.</summary>
public sealed record NameIsFree(VNodeId Parent, ReadOnlyMemory<byte> Name) : Precondition;

/// <summary>One operation of a transaction. The kinds are the operations of the same names.</summary>
public abstract record TransactOperation
{
    /// <summary>The time that the operation happens at, if the client has told its program so already; null: the transaction's.
    /// </summary>
    public Timestamp? At { get; init; }
}

public sealed record CreateOperation(NodeReference Parent, ReadOnlyMemory<byte> Name, VNodeKind Kind) : TransactOperation
{
    public ushort Mode { get; init; }

    public ushort Umask { get; init; }

    public uint Rdev { get; init; }

    public ReadOnlyMemory<byte> SymlinkTarget { get; init; }

    public Credentials Caller { get; init; }

    /// <summary>The VNode's id, one that the session was granted and has not used: later operations, and later requests, may
    /// name it by that. None: the next of the drive.</summary>
    public VNodeId Id { get; init; }

    /// <summary>When it was made, if the client has told its program so already; null: at the transaction's time.</summary>
    public NodeTimes? Times { get; init; }

    /// <summary>The session holds the new file open, from here on: what takes its last name, in this request or a later one,
    /// makes it an orphan.</summary>
    public bool Opened { get; init; }

    /// <summary>With <see cref="Opened"/> and no name: O_TMPFILE without O_EXCL may be linked later.</summary>
    public bool Nameless { get; init; }

    /// <summary>The same as a request of its own, in the directory that <see cref="Parent"/> turned out to be; who holds what is opened
    /// is the caller's to say.</summary>
    public CreateRequest ToRequest(VNodeId parent) => new()
    {
        Parent = parent,
        Name = Name.Span,
        Kind = Kind,
        Mode = Mode,
        Umask = Umask,
        Rdev = Rdev,
        SymlinkTarget = SymlinkTarget.Span,
        Caller = Caller,
        Id = Id,
        Times = Times,
        Nameless = Nameless,
    };
}

public sealed record LinkOperation(
    NodeReference Node, NodeReference NewParent, ReadOnlyMemory<byte> NewName) : TransactOperation;

public sealed record UnlinkOperation(
    NodeReference Parent, ReadOnlyMemory<byte> Name, bool Directory) : TransactOperation;

public sealed record RenameOperation(
    NodeReference OldParent,
    ReadOnlyMemory<byte> OldName,
    NodeReference NewParent,
    ReadOnlyMemory<byte> NewName) : TransactOperation
{
    public RenameFlags Flags { get; init; }

    public Credentials Caller { get; init; }
}

/// <param name="Node">The VNode; the request's own is not looked at.</param>
/// <param name="Request">What to set.</param>
public sealed record SetAttributesOperation(NodeReference Node, SetAttributesRequest Request) : TransactOperation;

public sealed record SetXattrOperation(
    NodeReference Node, ReadOnlyMemory<byte> Name, ReadOnlyMemory<byte> Value) : TransactOperation
{
    public XattrMode Mode { get; init; }

    public bool KillSetGid { get; init; }
}

public sealed record RemoveXattrOperation(NodeReference Node, ReadOnlyMemory<byte> Name) : TransactOperation;

/// <param name="Node">The file; the commit's own is replaced by it.</param>
/// <param name="Commit">The runs. Lent until the transaction was answered.</param>
public sealed record CommitOperation(NodeReference Node, FileCommit Commit) : TransactOperation;

/// <summary>Several operations, all or none, if what they rely on still holds.</summary>
/// <param name="Preconditions">All are checked before the first operation.</param>
/// <param name="Operations">Each sees what those before it did.</param>
public sealed record TransactRequest(
    IReadOnlyList<Precondition> Preconditions, IReadOnlyList<TransactOperation> Operations)
{
    /// <summary>The client has answered its programs already, because it had its drive for itself: what a nearly full disk keeps for
    /// what frees space is there for this, too.</summary>
    public bool Owed { get; init; }

    /// <summary>Operations, and preconditions, at the most: bounds the time that one request keeps the shard's loop. A file that
    /// is made, filled, and given attributes takes three, so that some 340 fit; with 4 KiB of data each they are less than half
    /// of <see cref="Limits.TransactionBytes"/>.</summary>
    public const int MaxOperations = 1024;
}

/// <summary>What a transaction did. Who asks owns it, and may use it again.</summary>
public sealed class TransactResult
{
    /// <summary>What each operation answered, in order: the VNode that it made, changed, or took a name from. Empty unless the
    /// answer is Ok.</summary>
    public List<NodeInfo> Nodes { get; } = [];

    /// <summary>VNodes that are gone for everybody, but too large to remove at once: for <see cref="ReleaseOrphan"/>.</summary>
    public List<VNodeId> ToReap { get; } = [];

    /// <summary>VNodes that the session holds open since: of creates with <see cref="CreateOperation.Opened"/>.</summary>
    public List<VNodeId> Opened { get; } = [];

    /// <summary>Bytes and VNodes that the drive has in use more than before, all in all: taken from what the session had set aside.
    /// </summary>
    public Reservation Grown { get; set; }

    /// <summary>Of a failure: the place of the operation, or precondition, that failed; -1 if none did: the request as a whole
    /// was refused, or not answered Ok by the log.</summary>
    public int FailedAt { get; set; } = -1;

    /// <summary><see cref="FailedAt"/> counts preconditions.</summary>
    public bool IsPrecondition { get; set; }

    /// <summary>As new.</summary>
    public void Clear()
    {
        Nodes.Clear();
        ToReap.Clear();
        Opened.Clear();
        Grown = default;
        FailedAt = -1;
        IsPrecondition = false;
    }
}
