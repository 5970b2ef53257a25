using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>Remembers the first failure for good: once closed, a store acknowledges nothing any more.</summary>
/// <remarks>Thread safe.</remarks>
internal sealed class FailureLatch
{
    private string? reason;

    internal bool IsFailed => Volatile.Read(ref reason) is not null;

    internal string? Reason => Volatile.Read(ref reason);

    /// <summary>Closes the latch, if it is open, and gives the answer that everybody gets from now on.</summary>
    internal Status Fail(string what)
    {
        Interlocked.CompareExchange(ref reason, what, null);
        return Status.IoError;
    }
}
