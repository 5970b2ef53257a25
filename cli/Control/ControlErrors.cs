using System.Text.Json;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Pki;
using KvFs.Core;
using KvFs.Mount;
using KvFs.Node.Storage;
using KvFs.Pki;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Control;

/// <summary>Says in words and codes what went wrong, whatever threw it.</summary>
internal static partial class ControlErrors
{
    /// <summary>An error as it crosses the channel. What nobody expected is logged here, with its trace, once.</summary>
    public static ControlError From(Exception exception, ILoggerFactory loggers)
    {
        switch (exception)
        {
            case CommandException command:
                return new ControlError(command.Code, command.Message, command.Hint);
            case BadHttpRequestException bad:
                return new ControlError(ExitCode.Usage, bad.Message, null);
            case StorageException storage:
                return new ControlError(CodeOf(storage.Status), storage.Message, null);
            case FuseMountException mount:
                return new ControlError(CodeOf(mount.Reason), mount.Message, null);
            case PkiException pki:
                return new ControlError(PkiErrors.CodeOf(pki.Failure), pki.Message, null);
            case UnauthorizedAccessException denied:
                return new ControlError(ExitCode.NotPermitted, denied.Message, null);
            case IOException io:
                return new ControlError(ExitCode.Failure, io.Message, null);
            default:
                LogUnexpected(loggers.CreateLogger("KvFs.Cli.Control"), exception);
                return new ControlError(
                    ExitCode.Failure, $"Something broke that should not: {exception.Message}",
                    "The log of the process has the details. Please report it.");
        }
    }

    public static CommandException ToException(ControlError error) => new(error.Code, error.Message, error.Hint);

    /// <summary>Throws unless it is Ok; what the status is about is in the message.</summary>
    /// <param name="status">What became of the request.</param>
    /// <param name="subject">What it was about, as in "drive 'main'".</param>
    public static void ThrowIfFailed(Status status, string subject)
    {
        if (status != Status.Ok) { throw new CommandException(CodeOf(status), Sentence(status, subject), Hint(status)); }
    }

    public static ExitCode CodeOf(Status status) => status switch
    {
        Status.Ok => ExitCode.Ok,
        Status.NotFound or Status.NoAttribute or Status.Stale => ExitCode.NotFound,
        Status.Exists => ExitCode.Exists,
        Status.InUse or Status.Busy or Status.Locked => ExitCode.InUse,
        Status.NoSpace or Status.NoInodes or Status.QuotaExceeded => ExitCode.NoSpace,
        Status.Unavailable => ExitCode.NotRunning,
        Status.Invalid or Status.NameTooLong or Status.NotDirectory or Status.IsDirectory => ExitCode.Usage,
        Status.NotPermitted or Status.AccessDenied or Status.ReadOnly => ExitCode.NotPermitted,
        Status.Corrupt => ExitCode.Damaged,
        _ => ExitCode.Failure,
    };

    public static int HttpStatus(ExitCode code) => code switch
    {
        ExitCode.Usage => StatusCodes.Status400BadRequest,
        ExitCode.NotPermitted => StatusCodes.Status403Forbidden,
        ExitCode.NotFound => StatusCodes.Status404NotFound,
        ExitCode.Exists or ExitCode.InUse => StatusCodes.Status409Conflict,
        ExitCode.NoSpace => StatusCodes.Status507InsufficientStorage,
        _ => StatusCodes.Status500InternalServerError,
    };

    public static string Serialize(ControlError error) =>
        JsonSerializer.Serialize(new ErrorReport(error), ControlJson.Default.ErrorReport);

    private static ExitCode CodeOf(FuseMountFailure reason) => reason switch
    {
        FuseMountFailure.NoPermission => ExitCode.NotPermitted,
        FuseMountFailure.MountpointMissing => ExitCode.NotFound,
        FuseMountFailure.NotDirectory or FuseMountFailure.NotEmpty => ExitCode.Usage,
        FuseMountFailure.Busy or FuseMountFailure.Stale => ExitCode.InUse,
        _ => ExitCode.Failure,
    };

    private static string Sentence(Status status, string subject) => status switch
    {
        Status.NotFound => $"There is no {subject}.",
        Status.Exists => $"There is a {subject} already.",
        Status.InUse => $"The {subject} is in use.",
        Status.NoSpace => $"There is no space left for the {subject}.",
        Status.NoInodes => $"The {subject} may have no more files: its quota of inodes is used up.",
        Status.Corrupt => $"The {subject} is damaged: a stored checksum does not match.",
        Status.IoError => $"The disk failed; nothing was acknowledged for the {subject}.",
        Status.TooLarge => $"The {subject} has as many snapshots as there may be.",
        Status.Busy => $"The {subject} is being worked on (flattened, or restored).",
        Status.NotSupported => $"The {subject} cannot do this.",
        Status.Unavailable => $"No node of the pool answers that serves the {subject}.",
        Status.Unknown or Status.TimedOut => $"The answer about the {subject} did not come in time: it is not known whether anything was changed.",
        _ => $"The {subject}: {status}.",
    };

    private static string? Hint(Status status) => status switch
    {
        Status.IoError => "Look at the system's log (dmesg), and at `kvfs status`.",
        Status.Corrupt => "Look with `kvfs fsck`.",
        Status.Busy => "Nothing was changed. Try again in a moment.",
        Status.Unavailable => "It was looked for for half a minute, and nothing was changed. See which nodes are there: kvfs pool status.",
        Status.Unknown or Status.TimedOut => "Look whether it was, with kvfs drive show, before you try again.",
        _ => null,
    };

    [LoggerMessage(Level = LogLevel.Error, Message = "A request failed in a way that nobody expected.")]
    private static partial void LogUnexpected(ILogger logger, Exception exception);
}
