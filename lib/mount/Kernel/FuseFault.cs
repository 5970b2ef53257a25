namespace KvFs.Mount;

/// <summary>What went wrong with a request or a worker.</summary>
public enum FuseFaultKind
{
    /// <summary>A handler threw; the request was answered with EIO unless it had been answered.</summary>
    HandlerThrew,

    /// <summary>The kernel sent bytes that make no sense; answered with an error if it had a number.</summary>
    MalformedRequest,

    /// <summary>The kernel refused a reply.</summary>
    ReplyRefused,

    /// <summary>Reading from the device failed.</summary>
    DeviceFailed,
}

/// <summary>Something that should not happen and that the file system survived; for the log.</summary>
public sealed record FuseFault(
    FuseFaultKind Kind, FuseOpcode Opcode, ulong Unique, int ErrorNumber, string Message, Exception? Exception);
