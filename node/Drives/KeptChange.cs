using KvFs.Core;

namespace KvFs.Node.Drives;

/// <summary>What a request is about to change of what sessions may keep (<see cref="KeptNodes"/>): marked from before it is committed until
/// the request is done.</summary>
/// <remarks>Used by one thread.</remarks>
public sealed class KeptChange(KeptNodes kept, SessionId by) : IDisposable
{
    private List<HashSet<VNodeId>>? marked;

    /// <summary>Others keep some of it: nothing was changed.</summary>
    public bool IsInTheWay { get; private set; }

    /// <summary>The transaction that changes it is in the log.</summary>
    public bool IsLogged { get; set; }

    /// <summary>Marks what a batch changes. False: others keep some of it. With the shard's gate held.</summary>
    public bool TryBegin(RecordBatch batch)
    {
        HashSet<VNodeId> nodes = [];
        ChangedNodes.AddTo(nodes, batch);
        if (nodes.Count == 0) { return true; }
        (marked ??= []).Add(nodes);
        IsInTheWay = !kept.BeginChange(by, nodes);
        return !IsInTheWay;
    }

    /// <summary>Nobody knows whether the batch will be seen: what it changes is never kept any more.</summary>
    public void Leave() => marked = null;

    /// <summary>Has the others forget it. Without the gate. False: the drive is not served here any more.</summary>
    public bool WaitForOthers()
    {
        IsInTheWay = false;
        return kept.WaitForOthers(by, marked![^1]);
    }

    /// <summary>The request is done, one way or the other.</summary>
    public void Dispose()
    {
        if (marked is null) { return; }
        foreach (HashSet<VNodeId> nodes in marked) { kept.EndChange(nodes); }
        marked = null;
    }
}
