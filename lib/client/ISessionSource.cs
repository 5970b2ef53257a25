using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Where the next session with a drive comes from when one has expired, and who is told of it.</summary>
/// <remarks>Called by one task, in turn.</remarks>
public interface ISessionSource
{
    /// <summary>Opens one.</summary>
    /// <returns>Busy, Unavailable, Unknown or TimedOut: nobody was reached that could. NotFound: the drive is gone. Anything else but Ok: it was refused.
    /// </returns>
    ValueTask<Reply<IDriveSession>> OpenAsync(CancellationToken cancellation);

    /// <summary>A session has expired.</summary>
    /// <param name="openFiles">Files that were open: what is done with them fails from now on.</param>
    void OnExpired(int openFiles);

    /// <summary>There is no next one for now, or, if the drive is gone (Stale), for good. Not told again while the reason stays the same.</summary>
    void OnRefused(Status why);

    /// <summary>There is one.</summary>
    void OnOpened();
}
