using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>The disk cannot do what a caller who has no other way to hear of it needs: opening, and reads of
/// records.</summary>
/// <remarks>Writes and syncs never throw it: their outcome is a <see cref="Core.Status"/>. The message is for people and
/// says what to do.</remarks>
public sealed class StorageException : Exception
{
    public StorageException()
        : this(Status.IoError, "The disk failed.")
    {
    }

    public StorageException(string message)
        : this(Status.IoError, message)
    {
    }

    public StorageException(string message, Exception innerException)
        : base(message, innerException) => Status = Status.IoError;

    public StorageException(Status status, string message)
        : base(message) => Status = status;

    public StorageException(Status status, string message, Exception innerException)
        : base(message, innerException) => Status = status;

    /// <summary>IoError, Corrupt, NotSupported (newer format), InUse (another process), NoSpace, NotFound, …</summary>
    public Status Status { get; }

    /// <summary>What to do about something that could not be read, for the end of a message.</summary>
    internal static string AdviceFor(Status status) => status switch
    {
        Status.NotSupported => "A newer version of KvFs wrote it: use that one.",
        Status.IoError => "The disk does not give it: look at the system's log. Nothing was changed.",
        _ => "It is damaged: restore the data folder from a backup. Nothing was changed.",
    };
}
