using KvFs.Client.Remote;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Gives a session with a primary in another process a memory of what it was answered.</summary>
public static class SessionMemory
{
    /// <summary>Wraps a session: beside which nobody writes (<see cref="BufferedDriveSession"/>), or which shares its drive
    /// (<see cref="SharedDriveSession"/>). One whose primary is in this process is answered quickly enough.</summary>
    public static IDriveSession Around(IDriveSession session, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(session);
        if (session is not RemoteDriveSession remote) { return session; }
        return remote.Access.IsShared()
            ? new SharedDriveSession(remote)
            : new BufferedDriveSession(remote, () => remote.HoldsLease, clock);
    }
}
