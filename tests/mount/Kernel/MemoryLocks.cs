using System.Threading.Channels;

namespace KvFs.Mount.Tests.Kernel;

/// <summary>Byte-range and flock locks, with waiters. Guarded by its own gate.</summary>
internal sealed class MemoryLocks
{
    private readonly Lock gate = new();
    private readonly List<Held> held = [];
    private readonly List<Waiter> waiters = [];
    private readonly Channel<ulong> blocked = Channel.CreateUnbounded<ulong>();
    private readonly Channel<ulong> interrupted = Channel.CreateUnbounded<ulong>();

    /// <summary>Waits until one more request waits for a lock.</summary>
    public Task NextBlocked() => blocked.Reader.ReadAsync().AsTask().WaitAsync(MountedFileSystem.Patience);

    /// <summary>Waits until one more waiting request was interrupted.</summary>
    public Task NextInterrupted() => interrupted.Reader.ReadAsync().AsTask().WaitAsync(MountedFileSystem.Patience);

    public void Get(FuseRequest request, in FuseLkIn body)
    {
        FuseFileLock answer;
        lock (gate)
        {
            FuseLkIn wanted = body;
            Held? other = held.Find(one => one.Conflicts(request.NodeId, wanted));
            answer = other?.Range ?? new FuseFileLock { Type = LockType.Unlock };
        }

        request.ReplyLock(answer);
    }

    public void Set(FuseRequest request, in FuseLkIn body, bool wait)
    {
        List<Waiter> granted = [];
        int? answer;
        ulong nodeId = request.NodeId;
        lock (gate)
        {
            answer = TryTake(request.NodeId, body) ? 0 : wait ? null : Errno.EAGAIN;
            if (answer is null)
            {
                Waiter waiter = new(this, request, body);
                waiters.Add(waiter);
                if (!request.TryOnInterrupt(waiter))
                {
                    waiters.Remove(waiter);
                    answer = Errno.EINTR;
                }
            }

            if (body.Lk.Type == LockType.Unlock) { granted = TakeWaiters(); }
        }

        foreach (Waiter waiter in granted) { waiter.Request.ReplyOk(); }
        if (answer is null) { blocked.Writer.TryWrite(nodeId); }
        else if (answer == 0) { request.ReplyOk(); }
        else { request.ReplyError(answer.Value); }
    }

    public void Drop(ulong nodeId, ulong owner, bool flock)
    {
        List<Waiter> granted;
        lock (gate)
        {
            held.RemoveAll(one => one.NodeId == nodeId && one.Owner == owner && one.IsFlock == flock);
            granted = TakeWaiters();
        }

        foreach (Waiter waiter in granted) { waiter.Request.ReplyOk(); }
    }

    /// <summary>Waiters that have their lock now, and are to be answered.</summary>
    private List<Waiter> TakeWaiters()
    {
        List<Waiter> granted = waiters.FindAll(waiter => TryTake(waiter.NodeId, waiter.Body));
        waiters.RemoveAll(granted.Contains);
        return granted;
    }

    /// <summary>Whole-range bookkeeping: a lock replaces what its owner holds in overlapping ranges.</summary>
    private bool TryTake(ulong nodeId, FuseLkIn body)
    {
        bool isFlock = (body.LkFlags & FuseLockFlags.Flock) != 0;
        if (body.Lk.Type != LockType.Unlock && held.Exists(one => one.Conflicts(nodeId, body))) { return false; }
        held.RemoveAll(one => one.NodeId == nodeId && one.Owner == body.Owner && one.IsFlock == isFlock
            && one.Range.Start >= body.Lk.Start && one.Range.End <= body.Lk.End);
        if (body.Lk.Type != LockType.Unlock) { held.Add(new Held(nodeId, body.Owner, isFlock, body.Lk)); }
        return true;
    }

    private void OnInterrupted(Waiter waiter)
    {
        bool waited;
        lock (gate) { waited = waiters.Remove(waiter); }
        if (!waited) { return; }
        waiter.Request.ReplyError(Errno.EINTR);
        interrupted.Writer.TryWrite(waiter.NodeId);
    }

    private sealed record Held(ulong NodeId, ulong Owner, bool IsFlock, FuseFileLock Range)
    {
        public bool Conflicts(ulong nodeId, FuseLkIn wanted) => nodeId == NodeId && wanted.Owner != Owner
            && ((wanted.LkFlags & FuseLockFlags.Flock) != 0) == IsFlock
            && wanted.Lk.Start <= Range.End && Range.Start <= wanted.Lk.End
            && (wanted.Lk.Type == LockType.Write || Range.Type == LockType.Write);
    }

    private sealed class Waiter(MemoryLocks locks, FuseRequest request, FuseLkIn body) : IFuseInterruptTarget
    {
        public ulong NodeId { get; } = request.NodeId;

        public FuseRequest Request => request;

        public FuseLkIn Body => body;

        public void Interrupted(FuseRequest of) => locks.OnInterrupted(this);
    }
}
