using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Pool.Tests;

/// <summary>How a client comes to a session with a pool whose primaries change.</summary>
internal static class Sessions
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(20);

    /// <summary>Why there may be none for a while. Unknown: its answer was lost with the node; InUse: until the last session is closed or
    /// has expired; NotFound: its shard came to a node between two looks, behind the one that looked; NoSpace: until a node with a
    /// full disk has handed over.</summary>
    private static readonly Status[] s_passing =
    [
        Status.Unknown, Status.InUse, Status.Busy, Status.Unavailable, Status.StaleEpoch, Status.SessionExpired, Status.NotFound, Status.NoSpace,
    ];

    /// <summary>Opens a session as soon as one can be had; null: nobody wants it any more.</summary>
    public static async Task<IDriveSession?> OpenAsync(
        PoolProcesses pool, string drive, CancellationToken unwanted, SessionAccess access = SessionAccess.Alone)
    {
        using PeriodicTimer timer = new(s_look);
        while (!unwanted.IsCancellationRequested)
        {
            Reply<IDriveSession> session = await pool.Admin.OpenSessionAsync(drive, access, CancellationToken.None);
            if (session.IsOk) { return session.Value; }
            Assert.Contains(session.Status, s_passing);
            await timer.WaitForNextTickAsync(CancellationToken.None);
        }

        return null;
    }

    /// <summary>Opens a client of a drive that it shares, as soon as one can be had.</summary>
    public static async Task<DriveClient> OpenSharedAsync(PoolProcesses pool, string drive)
    {
        IDriveSession session = (await OpenAsync(pool, drive, CancellationToken.None, SessionAccess.Shared))!;
        return new(SessionMemory.Around(session, TimeProvider.System), new(), TimeProvider.System);
    }
}
