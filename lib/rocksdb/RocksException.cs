namespace KvFs.RocksDb;

/// <summary>RocksDB refused or failed an operation.</summary>
public sealed class RocksException : Exception
{
    public RocksException()
    {
    }

    public RocksException(string message)
        : base(message)
    {
    }

    public RocksException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public RocksException(RocksErrorCode code, string message)
        : base(message) => Code = code;

    public RocksErrorCode Code { get; }
}
