using KvFs.Core;

namespace KvFs.Client;

/// <summary>Operations that a client has done for its programs and not yet told the primary, in order.</summary>
/// <remarks>Not thread safe. They stay here until the primary has answered.</remarks>
internal sealed class PendingOperations(TimeProvider clock)
{
    /// <summary>Operations above which programs wait for the primary: what a crash of the client may take is bounded.</summary>
    private const int MaxCount = 16 << 10;

    /// <summary>Bytes of names and targets that one request carries at the most, of the 4 MiB that a message may have.</summary>
    private const int RequestBytes = 1 << 20;

    private readonly Queue<TransactOperation> operations = new();
    private readonly Queue<long> times = new();
    private readonly HashSet<VNodeId> created = [];

    public int Count => operations.Count;

    public bool IsFull => operations.Count >= MaxCount;

    /// <summary>How long the oldest has waited.</summary>
    public TimeSpan Age => times.TryPeek(out long oldest) ? clock.GetElapsedTime(oldest) : TimeSpan.Zero;

    /// <summary>Operations added so far.</summary>
    public long Added { get; private set; }

    /// <summary>Operations of those added that the primary has answered.</summary>
    public long Done => Added - operations.Count;

    /// <summary>Whether the primary does not know of a VNode yet.</summary>
    public bool Creates(VNodeId id) => created.Contains(id);

    public void Add(TransactOperation operation)
    {
        operations.Enqueue(operation);
        times.Enqueue(clock.GetTimestamp());
        Added++;
        if (operation is CreateOperation create) { created.Add(create.Id); }
    }

    /// <summary>The oldest ones, as many as one request may have.</summary>
    /// <param name="most">Not more than so many.</param>
    public List<TransactOperation> Peek(int most)
    {
        List<TransactOperation> first = [];
        int bytes = 0;
        foreach (TransactOperation operation in operations)
        {
            bytes += BytesOf(operation);
            if (first.Count == most || (first.Count > 0 && bytes > RequestBytes)) { break; }
            first.Add(operation);
        }

        return first;
    }

    /// <summary>The oldest ones are answered.</summary>
    public void RemoveFirst(int count)
    {
        for (; count > 0; count--)
        {
            times.Dequeue();
            if (operations.Dequeue() is CreateOperation create) { created.Remove(create.Id); }
        }
    }

    private static int BytesOf(TransactOperation operation) => 64 + (operation switch
    {
        CreateOperation create => create.Name.Length + create.SymlinkTarget.Length,
        LinkOperation link => link.NewName.Length,
        UnlinkOperation unlink => unlink.Name.Length,
        RenameOperation rename => rename.OldName.Length + rename.NewName.Length,
        _ => 0,
    });
}
