namespace KvFs.Core;

/// <summary>What a lock keeps others from.</summary>
public enum LockType : byte
{
    /// <summary>None: as a request, unlocks.</summary>
    Unlock = 0,
    Read = 1,
    Write = 2,
}

/// <summary>Which of Linux's two independent kinds of lock.</summary>
public enum LockSpace : byte
{
    /// <summary>Byte ranges: fcntl(2) and OFD locks.</summary>
    Range = 0,

    /// <summary>Whole files: flock(2).</summary>
    Whole = 1,
}

/// <summary>Who holds a lock: a session, and within it the owner that the kernel named.</summary>
/// <param name="Session">The session.</param>
/// <param name="Owner">The kernel's lock owner (per process, or per open file).</param>
public readonly record struct LockOwner(SessionId Session, ulong Owner);

/// <summary>A lock on bytes [Start, End], both included.</summary>
/// <param name="Start">First byte.</param>
/// <param name="End">Last byte; <see cref="ulong.MaxValue"/> / 2 (the kernel's OFFSET_MAX) for "to the end".</param>
/// <param name="Type">Read or write.</param>
/// <param name="Owner">Who.</param>
/// <param name="ProcessId">What F_GETLK tells.</param>
public readonly record struct FileLock(ulong Start, ulong End, LockType Type, LockOwner Owner, uint ProcessId);
