using KvFs.Core;

namespace KvFs.Simulation.Nodes;

/// <summary>Takes answers of a node in the same process: they are there when the call returns.</summary>
internal static class Immediate
{
    internal static T Now<T>(this ValueTask<T> answer)
    {
        Invariant.Check(answer.IsCompletedSuccessfully);
        return answer.Result;  // House: it is complete.
    }

    internal static void Now(this ValueTask answer)
    {
        Invariant.Check(answer.IsCompletedSuccessfully);
        answer.GetAwaiter().GetResult();
    }
}
