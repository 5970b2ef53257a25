using KvFs.Core;

namespace KvFs.Core.Tests;

/// <summary>The sessions that are alive, by number.</summary>
public sealed class LiveSessions(params ulong[] live) : ISessionLiveness
{
    public bool IsLive(SessionId session) => live.Contains(session.Value);
}
