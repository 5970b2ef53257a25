using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <content>Locks: fcntl's, those of open files (OFD), and flock's.</content>
internal sealed partial class DriveFileSystem
{
    /// <summary>The kernel's OFFSET_MAX: "to the end, wherever that is".</summary>
    private const ulong LastOffset = long.MaxValue;

    public void Getlk(FuseRequest request, in FuseLkIn body)
    {
        if (FileOf(request, body) is not { } file) { return; }
        FileLock wanted = ToLock(file, body);
        LockSpace space = SpaceOf(body);
        Finish(request, file.Client.Session.TestLockAsync(file.Id, space, wanted), static (self, asked, reply) => self.AnswerTest(asked, reply));
    }

    public void Setlk(FuseRequest request, in FuseLkIn body)
    {
        if (FileOf(request, body) is not { } file) { return; }
        Finish(
            request,
            file.Client.Session.SetLockAsync(file.Id, SpaceOf(body), ToLock(file, body), wait: false, CancellationToken.None),
            static (self, asked, status) => self.Answer(asked, status));
    }

    public void Setlkw(FuseRequest request, in FuseLkIn body)
    {
        if (FileOf(request, body) is { } file) { Run(request, WaitForLockAsync(request, file, body)); }
    }

    private static FileLock WholeFile(Core.LockType type, LockOwner owner, uint processId) =>
        new(0, LastOffset, type, owner, processId);

    private static LockSpace SpaceOf(in FuseLkIn body) =>
        (body.LkFlags & FuseLockFlags.Flock) != 0 ? LockSpace.Whole : LockSpace.Range;

    private void AnswerTest(FuseRequest request, in Reply<FileLock> reply)
    {
        if (!reply.IsOk)
        {
            Refuse(request, reply.Status);
            return;
        }

        FileLock found = reply.Value;
        request.ReplyLock(new()
        {
            Start = found.Start,
            End = found.End,
            Type = found.Type switch
            {
                Core.LockType.Read => LockType.Read,
                Core.LockType.Write => LockType.Write,
                _ => LockType.Unlock,
            },
            Pid = found.ProcessId,
        });
    }

    /// <summary>The file that a request locks; null, and answered, if its handle is none. Notes who locks.</summary>
    private OpenFile? FileOf(FuseRequest request, in FuseLkIn body)
    {
        if (handles.Find(body.Fh) is not { File: { } file } handle)
        {
            request.ReplyError(Errno.EBADF);
            return null;
        }

        if (!SnapshotNodes.IsSnapshot(request.NodeId) && isLive)
        {
            bool takes = body.Lk.Type != LockType.Unlock && SpaceOf(body) == LockSpace.Range
                && request.Opcode != FuseOpcode.Getlk;
            if (takes) { lockOwners.Add(file.Id, body.Owner, handle); }
            return file;
        }

        // A file that nobody can change has no locks that matter to anybody: granted, and none in the way.
        if (request.Opcode == FuseOpcode.Getlk) { request.ReplyLock(new() { Type = LockType.Unlock }); }
        else { request.ReplyOk(); }
        return null;
    }

    private static FileLock ToLock(OpenFile file, in FuseLkIn body)
    {
        Core.LockType type = body.Lk.Type switch
        {
            LockType.Read => Core.LockType.Read,
            LockType.Write => Core.LockType.Write,
            _ => Core.LockType.Unlock,
        };
        LockOwner owner = new(file.Client.Session.Id, body.Owner);
        return SpaceOf(body) == LockSpace.Whole
            ? WholeFile(type, owner, body.Lk.Pid)
            : new(body.Lk.Start, body.Lk.End, type, owner, body.Lk.Pid);
    }

    /// <summary>Answers once the lock is granted, a signal came, or the mount ended.</summary>
    private async ValueTask WaitForLockAsync(FuseRequest request, OpenFile file, FuseLkIn body)
    {
        using CancellationTokenSource cancel = CancellationTokenSource.CreateLinkedTokenSource(ended.Token);
        if (!request.TryOnInterrupt(new LockInterrupt(cancel)))
        {
            request.ReplyError(Errno.EINTR);
            return;
        }

        Status status;
        try
        {
            status = await file.Client.Session.SetLockAsync(file.Id, SpaceOf(body), ToLock(file, body), wait: true, cancel.Token);
        }
        catch (OperationCanceledException)
        {
            status = Status.Interrupted;
        }

        Answer(request, status);
    }

    /// <summary>A signal for who waits for a lock.</summary>
    private sealed class LockInterrupt(CancellationTokenSource cancel) : IFuseInterruptTarget
    {
        /// <remarks>A wait that ended at this very moment was or will be answered.</remarks>
        public void Interrupted(FuseRequest request) => cancel.CancelIfAlive();
    }
}
