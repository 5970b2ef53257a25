namespace KvFs.Core;

/// <summary>Knows which sessions hold which VNodes open: what loses its last name becomes their orphan.</summary>
public interface INodeHolders
{
    /// <summary>The sessions that hold a VNode. Valid until the next call.</summary>
    ReadOnlySpan<SessionId> Holders(VNodeId id);
}

/// <summary>Knows which sessions are still there.</summary>
public interface ISessionLiveness
{
    bool IsLive(SessionId session);
}
