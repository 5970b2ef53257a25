using KvFs.Core;

namespace KvFs.Mount;

/// <summary>Data that programs wrote could not be stored; the status says why.</summary>
public sealed class DataNotStoredException : IOException
{
    public DataNotStoredException()
    {
    }

    public DataNotStoredException(string message)
        : base(message)
    {
    }

    public DataNotStoredException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public DataNotStoredException(Status status)
        : base(status == Status.SessionExpired
            ? "The session with the drive is over: what was written and not synced before is lost. Mount the drive again."
            : $"Some of what was written could not be stored: {status}.") => Status = status;

    public Status Status { get; } = Status.IoError;
}
