using KvFs.Core;

namespace KvFs.Authority;

/// <summary>What an authority says.</summary>
public enum AuthorityOutcome
{
    Ok,

    /// <summary>Another map stands there than the expected one.</summary>
    Conflict,

    /// <summary>The store does not answer, or refuses us. Nothing was changed.</summary>
    Unavailable,

    /// <summary>Changed or not, we cannot tell, and it may still be: until another map stands there.</summary>
    Unknown,

    /// <summary>What stands there is no map that this program can read. Nothing was changed.</summary>
    Damaged,

    /// <summary>The store takes no map of this size. Nothing was changed.</summary>
    TooLarge,
}

/// <summary>An outcome, what stands there (Ok and Conflict; null: nothing), and why, for people (all but Ok).</summary>
public sealed record AuthorityAnswer(AuthorityOutcome Outcome, PoolMap? Map, string Reason)
{
    internal static AuthorityAnswer Ok(PoolMap? map) => new(AuthorityOutcome.Ok, map, string.Empty);

    internal static AuthorityAnswer Conflict(ulong expected, PoolMap? map) => new(
        AuthorityOutcome.Conflict,
        map,
        map is null ? "there is no map" : $"the map is at revision {map.Revision}, and {expected} was expected");
}

/// <summary>The map of an authority is in a state in which nobody may go on with it.</summary>
public sealed class AuthorityException : Exception
{
    public AuthorityException()
    {
    }

    public AuthorityException(string message)
        : base(message)
    {
    }

    public AuthorityException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
