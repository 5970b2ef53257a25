using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Protocol.Wire;
using Operation = KvFs.Protocol.V1.Request.OperationOneofCase;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

internal sealed partial class RemoteSession
{
    /// <summary>What its client has said so far that it holds; null: nobody asked, or it has said it all.</summary>
    private Dictionary<VNodeId, uint>? holdings;

    /// <summary>What requests get once it has ended here.</summary>
    private Status ended = Status.SessionExpired;

    /// <summary>What an answer promised it is not there any more.</summary>
    private bool isLost;

    /// <summary>The client says what it holds and has reserved.</summary>
    /// <returns>Ok; Invalid: nobody asked; Lost: what was answered is not in the log any more.</returns>
    private Status TakeHoldings(V1.Holdings told)
    {
        Dictionary<VNodeId, uint> held;
        lock (gate)
        {
            if (holdings is null || end is not null || told.Held.Any(static each => each.Count is 0 or > int.MaxValue)) { return Status.Invalid; }
            held = holdings;
            foreach (V1.Held each in told.Held) { held[new(each.Node)] = each.Count; }
            if (told.More) { return Status.Ok; }
            LogPosition answered = new(new(told.Epoch), new(told.LogIndex));
            isLost = answered != default && !local.Hosted.Shard.Has(answered);
            if (isLost) { return Status.Lost; }
        }

        local.Hosted.TakeHoldings(Id, held, new(told.ReservedBytes, told.ReservedInodes));
        lock (gate) { holdings = null; }

        // It has forgotten what the primary before let it keep.
        local.Hosted.Kept.Forgotten(Id, [], long.MaxValue);
        return Status.Ok;
    }

    /// <summary>Looks for what a primary before this one kept of a change. What it opened is held here, too: who waits for the answer has
    /// not said so.</summary>
    private EarlierAnswer FindEarlier(V1.Request request)
    {
        RequestVerdict verdict = NamedRequest.Find(local.Hosted, request.NameIn(Id), out V1.Answer? answer);
        if (verdict == RequestVerdict.Repeat && answer is { Status: V1.Status.Ok }) { local.Note(OpenedBy(request, answer), GrownBy(answer)); }
        return new(verdict, answer);
    }

    private static IEnumerable<VNodeId> OpenedBy(V1.Request request, V1.Answer answer)
    {
        if (request.OperationCase == Operation.Create && request.Create.Opened && answer.Node is { } made) { return [new(made.Id)]; }
        return answer.Transacted is { } done ? done.Opened.Select(static each => new VNodeId(each)) : [];
    }

    private static Reservation GrownBy(V1.Answer answer) => answer.ResultCase switch
    {
        V1.Answer.ResultOneofCase.Transacted => new(answer.Transacted.GrownBytes, answer.Transacted.GrownInodes),
        V1.Answer.ResultOneofCase.Nodes => new(answer.Nodes.GrownBytes, 0),
        _ => default,
    };
}
