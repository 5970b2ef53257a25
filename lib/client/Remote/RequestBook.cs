using KvFs.Core;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>The requests of a session that wait for their answers, and the names of its changes.</summary>
/// <remarks>Not thread safe: its connection's gate guards it. A change has a slot until it was answered, so that in each slot one is
/// on its way; the bounds of <see cref="SessionConnection"/> see to it that there always is one.</remarks>
internal sealed class RequestBook
{
    private readonly Dictionary<ulong, WaitingRequest> waiting = [];
    private readonly ulong[] sequences = new ulong[RequestLedger.Slots];
    private readonly Stack<uint> free = new(Enumerable.Range(0, RequestLedger.Slots).Reverse().Select(slot => (uint)slot));
    private ulong lastId;

    public bool IsEmpty => waiting.Count == 0;

    /// <summary>Gives a request its id and name, and waits for its answer.</summary>
    public WaitingRequest Add(V1.Request request, SessionId session)
    {
        request.Session = session.Value;
        request.Id = ++lastId;
        if (request.IsChange())
        {
            request.Slot = free.Pop();
            request.Sequence = ++sequences[request.Slot];
        }

        WaitingRequest added = new(request);
        waiting.Add(request.Id, added);
        return added;
    }

    /// <summary>The request that an answer is for; null: none waits for it (any more).</summary>
    public WaitingRequest? Remove(ulong id)
    {
        if (!waiting.Remove(id, out WaitingRequest? found)) { return null; }
        if (found.Request.Sequence != 0) { free.Push(found.Request.Slot); }
        return found;
    }

    /// <summary>Whether a request still waits for its answer.</summary>
    public bool Has(WaitingRequest request) => waiting.ContainsKey(request.Request.Id);

    /// <summary>All that wait, in the order in which they were asked.</summary>
    public IReadOnlyList<WaitingRequest> All() => [.. waiting.Values.OrderBy(static each => each.Request.Id)];
}

/// <summary>A request that waits for its answer.</summary>
internal sealed class WaitingRequest(V1.Request request)
{
    private readonly TaskCompletionSource<V1.Answer> answer = new();

    /// <summary>Streams that it was given to: their server may have it.</summary>
    private int sent;

    public V1.Request Request { get; } = request;

    public Task<V1.Answer> Answer => answer.Task;

    /// <summary>Whoever asked has given up waiting for the lock.</summary>
    public bool IsCancelled { get; set; }

    /// <summary>It was given to a stream: a server may have it.</summary>
    public bool WasSent => sent > 0;

    /// <summary>It is given to a stream.</summary>
    public void NoteSent() => sent++;

    /// <summary>What an answer means. That the session is over says nothing of a change that an earlier stream had brought: it may have been
    /// applied while the session lived.</summary>
    public V1.Answer Judge(V1.Answer told) =>
        sent > 1 && told.Status == V1.Status.SessionExpired ? Lost() : told;

    /// <summary>Who waits goes on with another thread.</summary>
    public void Complete(V1.Answer with) => ThreadPool.UnsafeQueueUserWorkItem(
        static work => work.Answer.SetResult(work.With), (Answer: answer, With: with), preferLocal: false);

    /// <summary>Who waits goes on with this thread: to hand it over costs more than most have left to do.</summary>
    public void CompleteHere(V1.Answer with) => answer.SetResult(with);

    /// <summary>Its session has ended without an answer to it.</summary>
    public void Lose() => Complete(Lost());

    private V1.Answer Lost() => new()
    {
        Id = Request.Id,
        Status = WasSent && Request.ChangesDrive() ? V1.Status.Unknown : V1.Status.SessionExpired,
    };
}
