using KvFs.Core;
using KvFs.Protocol.Wire;
using Operation = KvFs.Protocol.V1.Request.OperationOneofCase;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>What a session has at its primary that is in no record, as far as answers told: what another primary must be told.</summary>
/// <remarks>Not thread safe: its connection's gate guards it.</remarks>
internal sealed class SessionHoldings
{
    /// <summary>VNodes that one message tells.</summary>
    private const int MaxPerMessage = 64 << 10;

    private readonly Dictionary<ulong, uint> held = [];
    private ulong reservedBytes;
    private ulong reservedInodes;
    private LogPosition newest;

    /// <summary>An answer has come.</summary>
    public void Note(V1.Request request, V1.Answer answer)
    {
        if (answer.Status != V1.Status.Ok) { return; }
        LogPosition position = new(new(answer.Epoch), new(answer.LogIndex));
        if (position > newest) { newest = position; }
        switch (request.OperationCase)
        {
            case Operation.Hold:
                Add(request.Hold.Id);
                break;
            case Operation.Create when request.Create.Opened && answer.Node is { } made:
                Add(made.Id);
                break;
            case Operation.Release:
                Remove(request.Release.Id);
                break;
            case Operation.Reserve:
                reservedBytes += request.Reserve.Bytes;
                reservedInodes += request.Reserve.Inodes;
                break;
            case Operation.Unreserve:
                Use(request.Unreserve.Bytes, request.Unreserve.Inodes);
                break;
            case Operation.Commit when answer.Nodes is { } committed:
                Use(committed.GrownBytes, 0);
                break;
            case Operation.Transact when answer.Transacted is { } done:
                foreach (ulong opened in done.Opened) { Add(opened); }
                Use(done.GrownBytes, done.GrownInodes);
                break;
            default:
                break;
        }
    }

    /// <summary>All of it, in as many parts as it takes.</summary>
    /// <param name="waiting">What was asked and not answered yet.</param>
    public IEnumerable<V1.Holdings> Tell(IReadOnlyList<WaitingRequest> waiting)
    {
        ulong[][] parts = [.. held.Keys.Chunk(MaxPerMessage)];
        for (int at = 0; at < parts.Length - 1; at++) { yield return Part(parts[at], more: true); }
        V1.Holdings last = Part(parts.LastOrDefault() ?? [], more: false);
        last.ReservedBytes = reservedBytes;
        last.ReservedInodes = reservedInodes;
        last.Epoch = newest.Epoch.Value;
        last.LogIndex = newest.Index.Value;
        foreach (WaitingRequest each in waiting)
        {
            bool mayHaveOpened = each.WasSent && each.Request.MayOpen();
            if (mayHaveOpened) { last.Opening.Add(new V1.RequestName { Slot = each.Request.Slot, Sequence = each.Request.Sequence }); }
        }

        yield return last;
    }

    private V1.Holdings Part(ulong[] nodes, bool more)
    {
        V1.Holdings part = new() { More = more };
        foreach (ulong node in nodes) { part.Held.Add(new V1.Held { Node = node, Count = held[node] }); }
        return part;
    }

    private void Add(ulong node) => held[node] = held.GetValueOrDefault(node) + 1;

    private void Remove(ulong node)
    {
        uint left = held.GetValueOrDefault(node);
        if (left > 1) { held[node] = left - 1; }
        else { held.Remove(node); }
    }

    private void Use(ulong bytes, ulong inodes)
    {
        reservedBytes -= Math.Min(bytes, reservedBytes);
        reservedInodes -= Math.Min(inodes, reservedInodes);
    }
}
