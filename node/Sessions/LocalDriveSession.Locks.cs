using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Node.Sessions;

public sealed partial class LocalDriveSession
{
    public ValueTask<Reply<FileLock>> TestLockAsync(VNodeId id, LockSpace space, FileLock wanted) =>
        Answer(Status.NotSupported, wanted);

    public ValueTask<Status> SetLockAsync(
        VNodeId id, LockSpace space, FileLock wanted, bool wait, CancellationToken cancellationToken) =>
        new(Status.NotSupported);

    public ValueTask<Status> UnlockAllAsync(VNodeId id, LockOwner owner) => new(Status.Ok);
}
