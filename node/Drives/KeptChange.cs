using KvFs.Core;

namespace KvFs.Node.Drives;

/// <summary>What a request is about to change of what sessions may keep (<see cref="KeptNodes"/>), or have left with them
/// (<see cref="WriteDelegations"/>): marked from before it is committed until the request is done.</summary>
/// <remarks>Used by one thread.</remarks>
public sealed class KeptChange(KeptNodes kept, WriteDelegations writes, SessionId by) : IDisposable
{
    private List<HashSet<VNodeId>>? marked;

    /// <summary>Others keep some of it, or have its writes: nothing was changed.</summary>
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
        IsInTheWay = !kept.BeginChange(by, nodes) || writes.HasOthers(by, nodes);
        return !IsInTheWay;
    }

    /// <summary>Nobody knows whether the batch will be seen: what it changes is never kept any more.</summary>
    public void Leave() => marked = null;

    /// <summary>Has the others give it back, and forget it. Without the gate.</summary>
    /// <returns>Ok: decide anew; else why nothing was changed: as <see cref="WriteDelegations.Settle"/>.</returns>
    public Status WaitForOthers()
    {
        IsInTheWay = false;
        Status settled = writes.Settle(by, marked![^1]);
        if (settled != Status.Ok) { return settled; }
        return kept.WaitForOthers(by, marked[^1]) ? Status.Ok : Status.StaleEpoch;
    }

    /// <summary>The request is done, one way or the other.</summary>
    public void Dispose()
    {
        if (marked is null) { return; }
        foreach (HashSet<VNodeId> nodes in marked) { kept.EndChange(nodes); }
        marked = null;
    }
}
