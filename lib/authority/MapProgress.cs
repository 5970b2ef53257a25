using KvFs.Core;

namespace KvFs.Authority;

/// <summary>How far one watch has come: what may be shown next, and what must never be.</summary>
internal sealed class MapProgress(ulong after)
{
    private ulong seen = after;
    private PoolId? pool;

    /// <summary>Whether an answer brings a newer map, which counts as shown then.</summary>
    /// <exception cref="AuthorityException">It must not be.</exception>
    internal bool IsNews(AuthorityAnswer answer)
    {
        if (answer.Outcome == AuthorityOutcome.Damaged)
        {
            throw new AuthorityException($"The pool map is damaged: {answer.Reason}");
        }

        if (answer.Outcome != AuthorityOutcome.Ok) { return false; }
        if (answer.Map is not { } map)
        {
            return seen == 0 ? false : throw new AuthorityException($"The pool map is gone; it was at revision {seen}.");
        }

        if (map.Revision < seen)
        {
            throw new AuthorityException(
                $"The pool map went back from revision {seen} to {map.Revision}. Was its store restored?");
        }

        pool ??= map.Pool;
        if (map.Pool != pool)
        {
            throw new AuthorityException($"The map of pool {pool} was replaced by one of pool {map.Pool}.");
        }

        if (map.Revision == seen) { return false; }
        seen = map.Revision;
        return true;
    }

    /// <summary>Checks what a caller wants to put, as far as it is known in whose place.</summary>
    /// <exception cref="ArgumentException">It cannot follow.</exception>
    internal static void CheckFollows(ulong expected, PoolMap? current, PoolMap next)
    {
        ArgumentNullException.ThrowIfNull(next);
        string? broken = next.Revision <= expected
            ? $"revision {next.Revision} is not above the expected {expected}"
            : current is not null && current.Revision == expected ? PoolMapSuccession.FindBroken(current, next) : null;
        if (broken is not null) { throw new ArgumentException($"The new map cannot follow: {broken}.", nameof(next)); }
    }
}
