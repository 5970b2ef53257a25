using KvFs.Core;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <content>What its client is asked for.</content>
internal sealed partial class RemoteSession
{
    public ValueTask<Status> FlushAsync() => RecallAsync(V1.RecallKind.Flush);

    public async ValueTask InvalidateAsync() => await RecallAsync(V1.RecallKind.Invalidate);

    /// <returns>Also SessionExpired: it is ending.</returns>
    public ValueTask<Status> ReturnAsync(IReadOnlyCollection<VNodeId> nodes) => RecallAsync(V1.RecallKind.Return, nodes);

    public void Forget(IReadOnlyCollection<VNodeId> nodes, long upTo)
    {
        lock (gate)
        {
            if (end is null) { Send(new(V1.RecallKind.Forget, clock.GetTimestamp(), null) { Nodes = nodes, UpTo = upTo }); }
        }
    }

    /// <summary>The client has done what it was recalled for.</summary>
    public void OnRecallDone(V1.RecallDone done)
    {
        StandingRecall? recall;
        lock (gate) { recalls.Remove(done.Id, out recall); }

        // Of files another client's request fails with it: nothing that would mean something else there.
        Status status = done.Status.ToCore();
        bool isSaid = recall is not { Kind: V1.RecallKind.Return } || status is Status.Ok or Status.NoSpace or Status.NoInodes or Status.Busy;
        recall?.Done?.SetResult(isSaid ? status : Status.IoError);
        if (recall is { Kind: V1.RecallKind.Forget }) { Hosted.Kept.Forgotten(Id, recall.Nodes, recall.UpTo); }
    }

    /// <summary>Whether the client was asked so long ago to forget something, and has not answered: its lease is not renewed any more, so that
    /// it has passed when the session is ended for that.</summary>
    public bool OwesForgetting(int leases)
    {
        lock (gate)
        {
            foreach (StandingRecall recall in recalls.Values)
            {
                if (recall.Kind == V1.RecallKind.Forget && clock.GetElapsedTime(recall.Since) > leases * options.Lease) { return true; }
            }

            return false;
        }
    }

    /// <summary>Whether the client was asked for files so long ago that its session is about to be ended: its lease is not renewed any more.</summary>
    private bool OwesFiles()
    {
        lock (gate)
        {
            return recalls.Values.Any(
                recall => recall.Kind == V1.RecallKind.Return && clock.GetElapsedTime(recall.Since) > options.RecallTime);
        }
    }

    /// <remarks>A client that never had a stream cannot be asked: it was told that it may keep nothing.</remarks>
    private ValueTask<Status> RecallAsync(V1.RecallKind kind, IReadOnlyCollection<VNodeId>? nodes = null)
    {
        TaskCompletionSource<Status> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            if (end is not null && nodes is not null) { return new(Status.SessionExpired); }
            if (end is not null || !hadStream) { return new(Status.Ok); }
            Send(new(kind, clock.GetTimestamp(), done) { Nodes = nodes ?? [] });
        }

        return new(done.Task);
    }

    /// <summary>Sends a recall, which stands until it is answered. Under the gate.</summary>
    private void Send(StandingRecall recall)
    {
        recalls.Add(++lastRecall, recall);
        stream?.Send(Message(lastRecall, recall));
    }

    private static V1.ServerMessage Message(ulong id, StandingRecall recall)
    {
        V1.Recall sent = new() { Id = id, Kind = recall.Kind };
        foreach (VNodeId node in recall.Nodes) { sent.Nodes.Add(node.Value); }
        return new() { Recall = sent };
    }

    /// <param name="Kind">What for.</param>
    /// <param name="Since">When it was sent first.</param>
    /// <param name="Done">Gets what became of it; null: <see cref="KvFs.Node.Drives.KeptNodes"/> waits for it.</param>
    private sealed record StandingRecall(V1.RecallKind Kind, long Since, TaskCompletionSource<Status>? Done)
    {
        public IReadOnlyCollection<VNodeId> Nodes { get; init; } = [];

        public long UpTo { get; init; }
    }
}
