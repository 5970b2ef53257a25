namespace KvFs.Pki;

/// <summary>Why something about certificates cannot be done.</summary>
public enum PkiFailure
{
    /// <summary>A file is not there.</summary>
    Missing,

    /// <summary>A file is there already, and would be replaced.</summary>
    Exists,

    /// <summary>A file holds something else than it should.</summary>
    Malformed,

    /// <summary>A certificate may not sign others.</summary>
    NotAuthority,

    /// <summary>A key and a certificate do not belong together.</summary>
    KeyMismatch,

    /// <summary>A certificate is not valid at this time.</summary>
    NotValidNow,

    /// <summary>What is asked for is no name, or not allowed.</summary>
    Invalid,

    /// <summary>A certificate is of another authority, or another pool.</summary>
    Foreign,
}

/// <summary>Something about certificates cannot be done; the message is a sentence that names the file.</summary>
public sealed class PkiException : Exception
{
    public PkiException()
        : this(PkiFailure.Malformed, "The certificate cannot be used.")
    {
    }

    public PkiException(string message)
        : this(PkiFailure.Malformed, message)
    {
    }

    public PkiException(string message, Exception innerException)
        : this(PkiFailure.Malformed, message, innerException)
    {
    }

    public PkiException(PkiFailure failure, string message, Exception? innerException = null)
        : base(message, innerException) => Failure = failure;

    public PkiFailure Failure { get; }
}
