using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

internal sealed partial class RemoteSession
{
    /// <summary>Its client says what it holds on one stream after the other, however many it has open for a moment.</summary>
    private readonly Lock telling = new();

    /// <summary>A primary before this one opened it.</summary>
    private readonly bool isAdopted;

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
        lock (telling) { return TakeToldHoldings(told); }
    }

    private Status TakeToldHoldings(V1.Holdings told)
    {
        Dictionary<VNodeId, uint> held;
        lock (gate)
        {
            if (!isAdopted || end is not null || told.Held.Any(static each => each.Count is 0 or > int.MaxValue)) { return Status.Invalid; }
            if (told.Opening.Count > RequestLedger.Slots) { return Status.Invalid; }

            // All was said on a stream before this one, which broke.
            if (holdings is null) { return Status.Ok; }
            foreach (V1.Held each in told.Held) { holdings[new(each.Node)] = each.Count; }
            if (told.More) { return Status.Ok; }
            held = new(holdings);
            LogPosition answered = new(new(told.Epoch), new(told.LogIndex));
            isLost = answered != default && !local.Hosted.Shard.Has(answered);
            if (isLost) { return Status.Lost; }
        }

        HashSet<RequestId> named = [.. told.Opening.Select(each => new RequestId(Id, (ushort)Math.Min(each.Slot, ushort.MaxValue), each.Sequence))];
        named.RemoveWhere(each => !TryAddOpened(each, held));
        local.Hosted.TakeHoldings(Id, held, new(told.ReservedBytes, told.ReservedInodes));
        lock (gate) { (holdings, opening) = (null, named); }

        // It has forgotten what the primary before let it keep.
        local.Hosted.Kept.Forgotten(Id, [], long.MaxValue);
        return Status.Ok;
    }

    /// <summary>Adds what a request has opened under the primary before, whose answer its client waits for: what nobody holds may be gone by the
    /// time that it asks again.</summary>
    private bool TryAddOpened(RequestId name, Dictionary<VNodeId, uint> held)
    {
        RequestVerdict verdict = NamedRequest.Find(local.Hosted, name, out V1.Answer? answer);
        if (verdict != RequestVerdict.Repeat || answer is not { Status: V1.Status.Ok }) { return false; }
        foreach (VNodeId opened in answer.OpenedBy()) { held[opened] = held.GetValueOrDefault(opened) + 1; }
        return true;
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
