using KvFs.Core;

namespace KvFs.Core.Tests;

/// <summary>Who holds what, by number: nobody anything, unless said.</summary>
public sealed class OpenNodes : INodeHolders
{
    private readonly SortedDictionary<ulong, SessionId[]> holders = [];

    public OpenNodes With(VNodeId id, params SessionId[] sessions)
    {
        holders[id.Value] = sessions;
        return this;
    }

    public ReadOnlySpan<SessionId> Holders(VNodeId id) => holders.GetValueOrDefault(id.Value);
}
