namespace KvFs.Core;

/// <summary>What a session may do with its drive, and beside whom. The values are those of its record.</summary>
public enum SessionAccess : byte
{
    /// <summary>It reads and writes, and has the drive for itself: it caches without asking.</summary>
    Alone = 0,

    /// <summary>It reads, and caches without asking: only others that just read are let in beside it.</summary>
    ReadOnly = 1,

    /// <summary>It reads and writes, and so may others: what one was answered, the others see.</summary>
    Shared = 2,

    /// <summary>It reads, and others may write.</summary>
    SharedReadOnly = 3,
}

/// <summary>What follows from a <see cref="SessionAccess"/>.</summary>
public static class SessionAccesses
{
    /// <summary>The access of who only reads, or does not, and who lets others write beside it, or does not.</summary>
    public static SessionAccess Of(bool readOnly, bool shared) => (readOnly, shared) switch
    {
        (false, false) => SessionAccess.Alone,
        (true, false) => SessionAccess.ReadOnly,
        (false, true) => SessionAccess.Shared,
        (true, true) => SessionAccess.SharedReadOnly,
    };

    /// <summary>It may change nothing.</summary>
    public static bool IsReadOnly(this SessionAccess access) =>
        access is SessionAccess.ReadOnly or SessionAccess.SharedReadOnly;

    /// <summary>Others may write beside it: it asks before it shows anything.</summary>
    public static bool IsShared(this SessionAccess access) =>
        access is SessionAccess.Shared or SessionAccess.SharedReadOnly;

    /// <summary>Whether two sessions may have the same drive at the same time.</summary>
    public static bool GoesWith(this SessionAccess access, SessionAccess other)
    {
        if (access == SessionAccess.Alone || other == SessionAccess.Alone) { return false; }
        return (access.IsShared() && other.IsShared()) || (access.IsReadOnly() && other.IsReadOnly());
    }
}
