using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Client;
using KvFs.Mount;
using KvFs.Protocol;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>The one place where a drive and the mount are put together.</summary>
internal sealed partial class MountStart(ILoggerFactory loggers)
{
    private const string FuseConfiguration = "/etc/fuse.conf";

    private readonly ILogger log = loggers.CreateLogger("KvFs.Mount");

    /// <summary>fusermount3 mounts without device nodes and set-id bits, whatever it is asked for: a mount that only seems to have
    /// them helps nobody.</summary>
    /// <exception cref="CommandException">It asks for what only root may have, or for what does not go together.</exception>
    public static void Check(MountRequest request)
    {
        if ((request.Dev || request.Suid) && !Environment.IsPrivilegedProcess)
        {
            throw new CommandException(ExitCode.NotPermitted, "Only root mounts with --dev or --suid.", "Start `kvfs up` as root, or leave them out.");
        }

        if (request.Timeout is not null && !request.Shared)
        {
            throw new CommandException(
                ExitCode.Usage, "--timeout needs --shared.", "A mount that has its drive alone has answered programs for more than the pool knows yet: it waits.");
        }
    }

    /// <param name="session">Moves to the mount if that works; else it stays the caller's.</param>
    /// <param name="sessions">Where the next one comes from when it has expired; null: there is none.</param>
    /// <param name="directory">Existing.</param>
    /// <param name="request">Which drive, which mount(8) shows as the source, and how.</param>
    /// <exception cref="FuseMountException">It did not work; the message says what to do.</exception>
    public DriveMount Start(IDriveSession session, ISessionSource? sessions, string directory, MountRequest request) =>
        DriveMount.Start(session, directory, new DriveMountOptions
        {
            FsName = request.Drive,
            ReadOnly = request.ReadOnly,
            AllowDevices = request.Dev,
            AllowSetId = request.Suid,
            AccessTimes = request.NoAtime ? AccessTimes.Never : AccessTimes.Relative,
            AllowOther = MayAllowOthers(),
            Sessions = sessions,
            RequestTime = request.Timeout,
            OnFault = LogFault,
        });

    /// <summary>fusermount3 refuses to let other users in unless the administrator allowed it.</summary>
    private static bool MayAllowOthers() =>
        Environment.IsPrivilegedProcess
            || (File.Exists(FuseConfiguration)
                && File.ReadLines(FuseConfiguration).Any(line => line.Trim() == "user_allow_other"));

    private void LogFault(FuseFault fault) => LogFault(fault.Message, fault.Exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Fault}")]
    private partial void LogFault(string fault, Exception? exception);
}
