using KvFs.Core;
using Operation = KvFs.Protocol.V1.Request.OperationOneofCase;

namespace KvFs.Protocol.Wire;

/// <summary>Which requests change something: drive.proto's comments, for both ends.</summary>
public static class WireChanges
{
    /// <summary>Whether a request changes the drive: what becomes of it when nobody answers, nobody knows.</summary>
    public static bool ChangesDrive(this V1.Request request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return request.OperationCase is Operation.Create or Operation.Link or Operation.Unlink or Operation.Rename
            or Operation.SetAttributes or Operation.SetXattr or Operation.RemoveXattr or Operation.Commit
            or Operation.ChangeRange or Operation.CopyRange or Operation.Transact;
    }

    /// <summary>Whether a request makes VNodes and holds them open: its answer tells which (<see cref="OpenedBy"/>).</summary>
    public static bool MayOpen(this V1.Request request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return request.Create is { Opened: true } || (request.Transact?.Operations.Any(static each => each.Create is { Opened: true }) ?? false);
    }

    /// <summary>What a request that may open something has opened, by its answer, which is Ok.</summary>
    public static IEnumerable<VNodeId> OpenedBy(this V1.Answer answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        if (answer.Node is { } made) { return [new(made.Id)]; }
        return answer.Transacted is { } done ? done.Opened.Select(static each => new VNodeId(each)) : [];
    }

    /// <summary>The name of a request that has one.</summary>
    public static RequestId NameIn(this V1.Request request, SessionId session)
    {
        ArgumentNullException.ThrowIfNull(request);
        return new(session, (ushort)Math.Min(request.Slot, ushort.MaxValue), request.Sequence);
    }

    /// <summary>Whether a request has a name under which it is carried out once: it changes the drive, or what the session has.
    /// </summary>
    public static bool IsChange(this V1.Request request) =>
        request.ChangesDrive()
        || request.OperationCase is Operation.Hold or Operation.Release or Operation.GrantBlocks or Operation.GrantVnodes
            or Operation.ReturnBlocks or Operation.Reserve or Operation.Unreserve or Operation.SetLock
            or Operation.UnlockAll or Operation.Delegate or Operation.ReturnDelegations;

    /// <summary>Whether it commits, or gives back, what was answered from memory: others may be waiting for that, with all the places that other requests
    /// have.</summary>
    public static bool IsOwed(this V1.Request request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return request.OperationCase is Operation.Commit or Operation.WriteBlock or Operation.GrantBlocks or Operation.ReturnBlocks
            or Operation.ReturnDelegations or Operation.Unreserve;
    }
}
