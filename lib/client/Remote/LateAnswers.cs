using Operation = KvFs.Protocol.V1.Request.OperationOneofCase;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>What is answered after whoever asked has given up.</summary>
internal static class LateAnswers
{
    /// <summary>The request that gives back what the session got by it and nobody uses; null: nothing. Locks go with the file, as after any that failed.
    /// </summary>
    public static V1.Request? GiveBack(V1.Request request, V1.Answer answer)
    {
        if (answer.Status != V1.Status.Ok) { return null; }
        return request.OperationCase switch
        {
            Operation.Hold => new() { Release = new() { Id = request.Hold.Id } },
            Operation.Create when request.Create.Opened && answer.Node is { } made => new() { Release = new() { Id = made.Id } },
            Operation.Reserve => new() { Unreserve = request.Reserve },
            Operation.GrantBlocks when answer.HasNumber => new() { ReturnBlocks = new() { First = answer.Number, Count = request.GrantBlocks.Count } },
            _ => null,
        };
    }
}
