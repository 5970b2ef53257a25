using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Sessions;

public sealed partial class LocalDriveSession
{
    public ValueTask<Reply<FileLock>> TestLockAsync(VNodeId id, LockSpace space, FileLock wanted) =>
        Answer(Status.Ok, drive.Locks.Test(id, space, Own(wanted)));

    public ValueTask<Status> SetLockAsync(
        VNodeId id, LockSpace space, FileLock wanted, bool wait, CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref closed) != 0) { return new(Status.SessionExpired); }
        return wait && wanted.Type != LockType.Unlock
            ? drive.Locks.SetOrWaitAsync(id, space, Own(wanted), cancellationToken)
            : new(drive.Locks.Set(id, space, Own(wanted)));
    }

    public ValueTask<Status> UnlockAllAsync(VNodeId id, LockOwner owner) =>
        new(drive.Locks.UnlockAll(id, owner with { Session = Id }));

    private FileLock Own(FileLock wanted) => wanted with { Owner = wanted.Owner with { Session = Id } };
}
