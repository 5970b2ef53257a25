using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

internal sealed partial class RemoteSession
{
    /// <summary>What its client has said so far that it holds; null: nobody asked, or it has said it all.</summary>
    private Dictionary<VNodeId, uint>? holdings;

    /// <summary>Requests whose answers its client waited for when it said what it holds: what they opened is held since.</summary>
    private HashSet<RequestId> opening = [];

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
            if (told.Opening.Count > RequestLedger.Slots) { return Status.Invalid; }
            held = holdings;
            foreach (V1.Held each in told.Held) { held[new(each.Node)] = each.Count; }
            if (told.More) { return Status.Ok; }
            LogPosition answered = new(new(told.Epoch), new(told.LogIndex));
            isLost = answered != default && !local.Hosted.Shard.Has(answered);
            if (isLost) { return Status.Lost; }
        }

        HashSet<RequestId> named = [];
        foreach (V1.RequestName each in told.Opening) { AddOpened(each, named, held); }
        local.Hosted.TakeHoldings(Id, held, new(told.ReservedBytes, told.ReservedInodes));
        lock (gate) { (holdings, opening) = (null, named); }

        // It has forgotten what the primary before let it keep.
        local.Hosted.Kept.Forgotten(Id, [], long.MaxValue);
        return Status.Ok;
    }

    /// <summary>Adds what a request has opened under the primary before, whose answer its client waits for: what nobody holds may be gone by the
    /// time that it asks again.</summary>
    private void AddOpened(V1.RequestName name, HashSet<RequestId> named, Dictionary<VNodeId, uint> held)
    {
        RequestId id = new(Id, (ushort)Math.Min(name.Slot, ushort.MaxValue), name.Sequence);
        RequestVerdict verdict = NamedRequest.Find(local.Hosted, id, out V1.Answer? answer);
        if (verdict != RequestVerdict.Repeat || answer is not { Status: V1.Status.Ok } || !named.Add(id)) { return; }
        foreach (VNodeId opened in answer.OpenedBy()) { held[opened] = held.GetValueOrDefault(opened) + 1; }
    }

    /// <summary>Looks for what a primary before this one kept of a change. What it opened is held here, too, if its client has not said that it
    /// waits for it.</summary>
    private EarlierAnswer FindEarlier(V1.Request request)
    {
        RequestId name = request.NameIn(Id);
        RequestVerdict verdict = NamedRequest.Find(local.Hosted, name, out V1.Answer? answer);
        if (verdict == RequestVerdict.Repeat && answer is { Status: V1.Status.Ok })
        {
            local.Note(request.MayOpen() && !opening.Contains(name) ? answer.OpenedBy() : [], GrownBy(answer));
        }

        return new(verdict, answer);
    }

    private static Reservation GrownBy(V1.Answer answer) => answer.ResultCase switch
    {
        V1.Answer.ResultOneofCase.Transacted => new(answer.Transacted.GrownBytes, answer.Transacted.GrownInodes),
        V1.Answer.ResultOneofCase.Nodes => new(answer.Nodes.GrownBytes, 0),
        _ => default,
    };
}
